"""Whether a net file may have Python code run: from Python it may, the command line asks first."""

allowed = True
