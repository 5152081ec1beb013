"""Where runs are computed: this process, worker processes, SLURM jobs."""
