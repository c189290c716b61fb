"""protonet: compile, check, train and run networks described in text files."""
