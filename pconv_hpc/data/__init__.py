"""Photos and masks on disk and in memory: packing, shards, mask banks, sampling, loading."""
