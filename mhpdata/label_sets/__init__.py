"""Label sets as data: the classes of datasets and parsers, checked, and tables that turn one set into another."""
