"""What every test and every process a test starts runs under."""

import os
import signal

os.environ["MPLBACKEND"] = "Agg"  # no display is there to open a window on
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's greetings hide a failure's output

# A shell that starts the tests in the background makes them, and all they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
