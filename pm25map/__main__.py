"""`python -m pm25map`: the same as the command `pm25map`."""

from pm25map.cli.main import main

if __name__ == "__main__":
    main()
