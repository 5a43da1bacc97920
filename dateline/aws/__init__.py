"""What is different at Amazon: arrays of jobs, disks that do not last, spot instances, Lambda."""
