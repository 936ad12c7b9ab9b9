"""Adds the workflow to the package: what lies beside wsis_steps/ is installed as wsis_steps/repository/."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["wsis_steps*"]), "wsis_steps.repository"],
    package_dir={"wsis_steps.repository": "."},
)
