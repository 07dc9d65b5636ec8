"""`python -m sr_zoo`: the command line where its script is not on the path."""

from sr_zoo.cli import main

if __name__ == "__main__":  # processes that multiprocessing spawns import this file again
    main()
