"""Read and write objects: requests, ranges fetched in advance, and a cache on the local disk."""
