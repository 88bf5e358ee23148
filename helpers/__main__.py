"""Run the command as ``python -m helpers``."""

from helpers.command import main

if __name__ == "__main__":
    main()
