"""What every test and every process a test starts runs under."""

import os

os.environ["MPLBACKEND"] = "Agg"  # no display is there to open a window on
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's greetings hide a failure's output
