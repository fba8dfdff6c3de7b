"""Write a pack to a folder on this machine, or to object storage."""
