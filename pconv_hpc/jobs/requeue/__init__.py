"""One start of a job after another: supervised, stopped in time, requeued or submitted."""
