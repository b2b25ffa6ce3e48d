"""``python -m modalens``: the command line."""

from modalens.cli import main

if __name__ == "__main__":
    main()
