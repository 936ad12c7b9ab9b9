# Finds the package wsis_steps that belongs to this copy of the workflow, and the folder HOME that holds Snakefile,
# workflow/ and envs/: the repository; the folder `repository` of the installed package; or, if a Snakefile uses the
# workflow from a git repository (gitfile, github, gitlab), what is copied from its commit to .snakemake/wsis/.
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError


def copy_of_commit(source):
    """The files of a commit, copied once. source: a file in a git repository, as Snakemake sees it."""
    local = getattr(source, "repo_path", None)
    repository = local or source.hosted_repo.repo.git_dir
    git = ["git", "-C", str(repository)]
    try:
        commit = subprocess.check_output([*git, "rev-parse", f"{source.ref}^{{commit}}"], text=True).strip()
        folder = Path(".snakemake/wsis", commit).resolve()
        if not folder.is_dir():
            archive = subprocess.check_output([*git, "archive", commit, "Snakefile", "workflow", "envs", "wsis_steps"])
            folder.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=folder.parent))
            tarfile.open(fileobj=io.BytesIO(archive)).extractall(partial, filter="data")
            try:
                partial.rename(folder)
            except OSError:  # another process was faster
                shutil.rmtree(partial)
    except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
        raise WorkflowError(f"wsis cannot be copied from {repository} at {source.ref}: {error}") from None
    return folder


here = workflow.current_basedir  # the folder workflow/
HOME = Path(str(here)).parent if hasattr(here, "abspath") else copy_of_commit(here)
package = HOME / "wsis_steps" if (HOME / "wsis_steps").is_dir() else HOME.parent
if package.parent == HOME:
    sys.path.insert(0, str(HOME))
try:
    import wsis_steps
except ImportError:
    raise WorkflowError(f"The Python that runs Snakemake ({sys.executable}) lacks wsis; install it there.") from None
if not os.path.samefile(wsis_steps.__path__[0], package):
    raise WorkflowError(
        f"The workflow in {HOME} needs the package in {package}, but {wsis_steps.__path__[0]} is already loaded; a "
        "Snakefile can use only one version of wsis."
    )
if package.parent != HOME:
    # Jobs in conda environments have no wsis, and must not see the other packages of this environment.
    alone = Path(".snakemake/wsis/package").resolve()
    alone.mkdir(parents=True, exist_ok=True)
    link = alone / "wsis_steps"
    if not (link.is_symlink() and link.resolve() == package.resolve()):
        temporary = Path(tempfile.mkdtemp(dir=alone.parent)) / "link"
        temporary.symlink_to(package.resolve())
        temporary.rename(link)
        temporary.parent.rmdir()
# The other rules of a Snakefile that uses this one as a module keep the path that they had.
own = str(HOME if package.parent == HOME else alone)
others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", own)]
os.environ.update(PYTHONPATH=os.pathsep.join([own, *others]))
