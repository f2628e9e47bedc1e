"""What ``evaluation/`` shows names of photos with."""

from pconv_hpc.text import printable as printable
