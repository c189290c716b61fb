"""`python -m protonet` is the command `protonet`."""

from protonet.cli import main

if __name__ == "__main__":
    main(prog_name="protonet")
