"""Read downloaded datasets: files, lists and entries. This room never writes."""
