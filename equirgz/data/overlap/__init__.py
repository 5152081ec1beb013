"""Which sources are the same: by pixels, by image, by name, by position; what must not be divided, what leaks.

``exact`` finds equal pixels, ``near`` what survives another encoding, size, brightness, orientation or some noise,
``likeness`` one image in two surveys' sets (both compare at every angle by ``turns``), ``objects`` names that several
surveys use, ``groups`` joins them with positions into groups that no split divides, ``leaks`` refuses one set's sources
in another, ``compare`` tells what two sets share, ``describe`` puts groups into words.
"""
