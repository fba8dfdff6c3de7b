"""Read objects of object stores and web servers: requests, ranges fetched in advance, and a cache on the local disk."""
