"""What looks at and learns from packed shards. Nothing heavy is imported until it is used."""
