"""MongoDB: the only importer of pymongo. A module or folder for each collection; its docstring is the contract of the
documents."""
