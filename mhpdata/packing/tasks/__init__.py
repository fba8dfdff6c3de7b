"""Pack as independent tasks on several machines: plan, parts, assembly (mhp pack --task, --merge, --dask)."""
