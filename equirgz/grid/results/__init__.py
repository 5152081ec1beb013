"""What a results folder holds, and how finished runs become its files."""
