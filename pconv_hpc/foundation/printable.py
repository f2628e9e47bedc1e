"""What ``evaluation/`` shows names of photos with."""

from pconv_hpc.foundation.text import printable as printable
