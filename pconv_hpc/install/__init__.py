"""Set up a virtual environment that runs everything here. Standard library only.

Most of it is what pip does. Two packages must be compiled against what they will run with, which
pip alone gets wrong: Horovod (``horovod.py``) and onedl-mmcv (``mmcv.py``). They are built once
and kept in a wheel cache (``wheel_cache.py``).
"""
