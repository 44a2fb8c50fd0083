"""Start workers on a cluster, run `pm25map backfill` on them, and let them go.

Options before `--` say where the workers run, those after it are those of `pm25map backfill`.

Try: python docs/cluster/run.py local --workers 2 -- --start 2020-09-05 --end 2020-09-08 --out maps
     python docs/cluster/run.py slurm --workers 40 --queue normal --account air --walltime 04:00:00 -- ...
     python docs/cluster/run.py pbs --workers 40 --queue workq -- ...
     python docs/cluster/run.py kubernetes --workers 40 --image registry.example.org/pm25map:1 -- ...
"""

import argparse
import subprocess
import sys
from typing import Any

CORES, MEMORY = 1, "4GB"
"""Of a worker: it runs one session, and holds the windows of one block (docs/performance.md)."""


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the words into where to work and what to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("where", choices=["local", "slurm", "pbs", "kubernetes"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default=MEMORY, help="of a worker")
    parser.add_argument("--queue", help="SLURM partition or PBS queue")
    parser.add_argument("--account", help="to charge")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--gpu", action="store_true", help="one CUDA device a worker")
    parser.add_argument("--image", default="pm25map:latest", help="container that has pm25map installed")
    cut = words.index("--") if "--" in words else len(words)
    return parser.parse_args(words[:cut]), words[cut + 1 :]


def make_cluster(asked: argparse.Namespace) -> Any:
    """Give a cluster without workers yet; each kind needs its own package (pm25map[cluster])."""
    if asked.where == "local":
        from distributed import LocalCluster

        return LocalCluster(n_workers=0, threads_per_worker=1, processes=True, dashboard_address=None)
    if asked.where == "kubernetes":
        from dask_kubernetes.operator import KubeCluster

        return KubeCluster(custom_cluster_spec=kubernetes_spec(asked))
    import dask_jobqueue

    kind = dask_jobqueue.SLURMCluster if asked.where == "slurm" else dask_jobqueue.PBSCluster
    extra = {"slurm": ["--gres=gpu:1"], "pbs": ["-l ngpus=1"]}[asked.where] if asked.gpu else []
    return kind(
        cores=CORES,
        processes=1,
        memory=asked.memory,
        queue=asked.queue,
        account=asked.account,
        walltime=asked.walltime,
        job_extra_directives=extra,
        # A worker that dies is started again, and what it had in hand goes to another.
        worker_extra_args=["--lifetime-restart"],
    )


def kubernetes_spec(asked: argparse.Namespace) -> Any:
    """Describe the cluster for the Dask operator: one thread a pod, and a CUDA device where asked for."""
    from dask_kubernetes.operator import make_cluster_spec

    limits = {"cpu": str(CORES), "memory": asked.memory.replace("GB", "G")}
    if asked.gpu:
        limits["nvidia.com/gpu"] = "1"
    return make_cluster_spec(
        name="pm25map",
        image=asked.image,
        n_workers=0,
        resources={"requests": limits, "limits": limits},
        worker_command="dask-worker --nthreads 1",
    )


def main(words: list[str]) -> int:
    """Run a backfill on a cluster of its own; give its exit code."""
    asked, backfill = parse(words)
    with make_cluster(asked) as cluster:
        cluster.scale(asked.workers)
        line = [
            sys.executable,
            "-m",
            "pm25map",
            "backfill",
            *backfill,
            "--scheduler",
            cluster.scheduler_address,
        ]
        return subprocess.run(line, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
