"""One module or package per framework, behind one interface (engine)."""
