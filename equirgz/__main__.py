"""``python -m equirgz`` is the command line."""

from equirgz.cli import main

if __name__ == "__main__":
    main()
