"""The layers, one file per family; base.py has the contract, registry.py finds them by type."""
