"""What the image is made of, and what runs it: the chart, compose.yaml and systemd's units."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dateline.settings import Settings
from scripts.audit import locked_packages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "dateline"
MADE = ("embedded", "shared")
KUBERNETES = "1.31"
TOOLS = ROOT / ".venv-deploy" / "bin"
VARIABLE = re.compile(r"\bDATELINE_[A-Z0-9_]+")
# Variables of compose.yaml itself, which no program reads.
OF_COMPOSE = {"DATELINE_IMAGE", "DATELINE_MEDIA"}


def tool(name: str) -> str:
    """A program that scripts/deploy-tools lays here; skips where it is missing."""
    found = shutil.which(name, path=f"{TOOLS}:{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip(f"{name} is not here: make .venv-deploy/.installed")
    return found


def manifests(name: str) -> list[dict[str, Any]]:
    """What the chart made of some values."""
    text = (DEPLOY / "kubernetes" / f"{name}.yaml").read_text("utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(name: str, kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in manifests(name) if m["kind"] == kind}


def pods(name: str) -> dict[str, dict[str, Any]]:
    """The pods' templates by the name of what makes them."""
    makers = {**of_kind(name, "Deployment"), **of_kind(name, "Job")}
    return {maker: made["spec"]["template"]["spec"] for maker, made in makers.items()}


def template(*options: str) -> subprocess.CompletedProcess[str]:
    command = [
        tool("helm"),
        "template",
        "dateline",
        str(CHART),
        "--kube-version",
        f"{KUBERNETES}.0",
    ]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


# --- the chart


def test_helm_finds_no_fault_in_the_chart() -> None:
    command = [tool("helm"), "lint", str(CHART), "--strict", "--kube-version", f"{KUBERNETES}.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_manifests_are_those_of_the_chart(tmp_path: Path) -> None:
    subprocess.run(
        [ROOT / "scripts" / "manifests", tmp_path],
        env={**os.environ, "HELM": tool("helm")},
        check=True,
    )
    for name in MADE:
        made = (tmp_path / f"{name}.yaml").read_text("utf-8")
        assert made == (DEPLOY / "kubernetes" / f"{name}.yaml").read_text("utf-8")


VARIANTS = {
    "embedded": [],
    "embedded with workers": ["--set", "worker.enabled=true"],
    "shared": ["--set", "archive=shared,secret.record=record"],
    "shared with everything": ["--values", str(DEPLOY / "kubernetes" / "shared-values.yaml")],
    "shared with numbers of replicas": [
        *("--values", str(DEPLOY / "kubernetes" / "shared-values.yaml")),
        *(f"--set={part}.autoscaling.enabled=false" for part in ("serve", "worker", "models")),
        "--set=networkPolicy.enabled=false",
    ],
    "every value": ["--values", str(Path(__file__).with_name("all-values.yaml"))],
}


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    """What kubernetes-validate says of manifests: strictly, so that a member that the API does not
    know is a fault.
    """
    command = [tool("kubernetes-validate"), "--strict", "-k", KUBERNETES, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_what_the_chart_makes_fits_the_schemas_of_the_api(
    options: list[str], tmp_path: Path
) -> None:
    made = template(*options)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "made.yaml"
    file.write_text(made.stdout, "utf-8")
    done = validated(file)
    assert done.returncode == 0, done.stdout
    file.write_text(made.stdout.replace("containers:", "container:"), "utf-8")
    assert validated(file).returncode != 0


@pytest.mark.parametrize(
    "values",
    [
        ["archive=both"],
        ["archive=shared"],
        ["archive=embedded,serve.autoscaling.enabled=true"],
        ["archive=embedded,worker.enabled=true,worker.autoscaling.enabled=true"],
        ["secret.record=record"],
        ["secret.name="],
    ],
    ids=str,
)
def test_values_that_can_t_work_are_refused(values: list[str]) -> None:
    done = template("--set", *values)
    assert done.returncode != 0
    assert "execution error" in done.stderr


def test_an_embedded_archive_is_one_pod_that_ends_before_the_next_begins() -> None:
    (serve,) = of_kind("embedded", "Deployment").values()
    assert (serve["spec"]["replicas"], serve["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert not of_kind("embedded", "PodDisruptionBudget")  # it would keep a node from being drained
    (claim,) = of_kind("embedded", "PersistentVolumeClaim").values()
    volumes = {volume["name"]: volume for volume in pods("embedded")["dateline-serve"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_workers_of_an_embedded_archive_are_in_its_pod() -> None:
    done = template("--set", "worker.enabled=true")
    found = [each for each in yaml.safe_load_all(done.stdout) if each]
    (serve,) = [each for each in found if each["kind"] == "Deployment"]
    containers = serve["spec"]["template"]["spec"]["containers"]
    assert [container["args"] for container in containers] == [["serve"], ["worker"]]


def test_a_shared_archive_is_replaced_one_pod_at_a_time() -> None:
    for part in ("dateline-serve", "dateline-models"):
        spec = of_kind("shared", "Deployment")[part]["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert "replicas" not in spec  # the autoscaler says how many
    parts = {"dateline-serve", "dateline-models", "dateline-worker"}
    assert of_kind("shared", "PodDisruptionBudget").keys() == parts
    assert of_kind("shared", "HorizontalPodAutoscaler").keys() == parts


@pytest.mark.parametrize("name", MADE)
def test_every_pod_has_the_least_rights(name: str) -> None:
    for pod in pods(name).values():
        assert pod["enableServiceLinks"] is False  # they would be settings that are not known
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", MADE)
def test_secrets_are_files_and_each_part_gets_its_own_only(name: str) -> None:
    for maker, pod in pods(name).items():
        (secret,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
        mounted = {item["path"] for item in secret["items"]}
        for container in pod["containers"]:
            assert all("valueFrom" not in variable for variable in container["env"])
            named = {
                variable["value"].rpartition("/")[2]
                for variable in container["env"]
                if variable["name"].endswith("_FILE")
            }
            assert named == mounted
        assert ("migrate_record" in mounted) == (maker == "dateline-migrate")
        assert ("keys" in mounted) == (maker in ("dateline-serve", "dateline-models"))


def test_alive_is_not_ready() -> None:
    """A pod is not killed for what is away elsewhere, and gets no requests that it can't answer."""
    for name in MADE:
        for pod in pods(name).values():
            for container in pod["containers"]:
                if "ports" not in container:
                    assert "livenessProbe" not in container
                    continue
                assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
                assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_each_part_is_in_a_network_policy() -> None:
    found = of_kind("shared", "NetworkPolicy")
    parts = {"serve", "worker", "models", "migrate"}
    assert found.keys() == {f"dateline-{part}" for part in parts}
    for part in parts:
        spec = found[f"dateline-{part}"]["spec"]
        assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == part
        assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert found["dateline-worker"]["spec"]["ingress"] == []
    assert found["dateline-migrate"]["spec"]["ingress"] == []


# --- the image


def test_the_image_copies_what_is_there() -> None:
    """Where it is not built, what it would be built of is looked at."""
    lines = (DEPLOY / "Containerfile").read_text("utf-8").splitlines()
    copies = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    own = [words for words in copies if not any(word.startswith("--from") for word in words)]
    sources = [word for words in own for word in words[:-1] if not word.startswith("--")]
    assert len(sources) >= 4
    for source in sources:
        assert (ROOT / source).exists(), source


@pytest.mark.parametrize("lock", ["requirements-media", "deploy/sbom", "deploy/checks"])
def test_locks_have_what_is_asked_for(lock: str) -> None:
    """Who adds a package and forgets `make lock` learns it here, and not from a build."""
    file = ROOT / f"{lock}.lock"
    if file.with_suffix(".txt").exists():
        wanted = file.with_suffix(".txt").read_text("utf-8").split()
    else:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        made = re.search(rf".* -o {file.name}", (ROOT / "scripts" / "lock").read_text("utf-8"))
        assert made is not None
        extras = re.findall(r"--extra (\S+)", made.group())
        wanted = [*project["dependencies"]]
        wanted += [one for extra in extras for one in project["optional-dependencies"][extra]]
    locked = {each.name: each.version for each in locked_packages([file])}
    assert wanted
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


# --- all of them


def test_every_variable_is_a_setting() -> None:
    """What is misspelt would stop the program at its start."""
    known = {f"DATELINE_{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | OF_COMPOSE
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix in (".yaml", ".service", ".tpl", ""):
            named = {each for each in VARIABLE.findall(path.read_text("utf-8")) if each[-1] != "_"}
            assert named <= known, path


def test_compose_has_what_it_names() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    services = compose["services"]
    parts = {"service", "worker", "postgres", "opensearch", "prometheus", "collector"}
    assert services.keys() >= parts
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= compose["secrets"].keys(), name
        assert set(service.get("depends_on", {})) <= services.keys(), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).is_file()
            elif not source.startswith("$"):
                assert source in compose["volumes"]
    for name in ("service", "worker", "migrate"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize(("program", "words"), [("compose-spec", []), ("podman-compose", ["-f"])])
def test_tools_of_compose_take_it(program: str, words: list[str]) -> None:
    """The Compose specification's own check, which Docker's program has inside, and podman's."""
    if program == "podman-compose" and shutil.which("podman") is None:
        pytest.skip("podman is not here: apt-get install podman")
    more = ["config"] if words else []
    command = [tool(program), *words, "compose.yaml", *more]
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    assert read["services"].keys() == compose["services"].keys()
    assert read["services"]["service"]["environment"]["DATELINE_ENGINE"] == "opensearch"


def test_haproxy_takes_its_configuration() -> None:
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not here: apt-get install haproxy")
    command = ["haproxy", "-c", "-f", DEPLOY / "haproxy.cfg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_secrets_of_compose_are_made_once_and_not_printed(tmp_path: Path) -> None:
    folder = tmp_path / "compose"
    folder.mkdir()
    shutil.copy(DEPLOY / "compose" / "secrets", folder)

    def made() -> tuple[str, dict[str, str]]:
        done = subprocess.run([folder / "secrets"], capture_output=True, text=True, check=True)
        files = (folder / "secrets.d").iterdir()
        return done.stdout + done.stderr, {file.name: file.read_text("utf-8") for file in files}

    said, files = made()
    assert made() == (said, files)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    assert files.keys() >= compose["secrets"].keys()
    assert not any(secret in said for secret in files.values())
    keys = Settings.model_validate({"keys": yaml.safe_load(files["keys"])}).keys
    assert [(key.name, key.write, key.inspect) for key in keys] == [
        ("desk", True, False),
        ("prometheus", False, True),
    ]
    assert files["postgres_password"] in files["record"]


def test_systemd_takes_the_units_and_they_are_walled_in(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    units = sorted((DEPLOY / "systemd").glob("*.service"))
    for unit in units:  # the program is not in /opt here
        text = unit.read_text("utf-8").replace("/opt/dateline/bin/dateline", "/bin/true")
        (tmp_path / unit.name).write_text(text, "utf-8")
    paths = [str(tmp_path / unit.name) for unit in units]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    limit = ["security", "--offline=true", "--threshold=25"]  # 2.5 of 10: "OK"
    for path in paths:
        done = subprocess.run(["systemd-analyze", *limit, path], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
