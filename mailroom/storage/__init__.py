"""MongoDB: the only importer of pymongo. One module a collection, its docstring the document's contract."""
