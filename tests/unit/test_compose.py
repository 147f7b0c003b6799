"""`docker-compose.yml` and its images, read as the paper they are: no engine is needed.

What the paper names must exist: commands in the command line, variables in the settings, queues in
the workers, files in the images. A container gets no more rights than it needs, and no password
has a default.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import celery_settings, cli
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "deploy" / "docker").glob("*.Dockerfile"))
OURS = {"migrate", "listener", "worker", "worker-cpu", "deliverer", "sweep", "hl7", "web"}
THIRD_PARTY = {"postgres", "rabbitmq", "orthanc"}
ASKING_ARCHIVES = {"worker", "worker-cpu", "deliverer", "web"}
OPEN_TO_THE_HOSPITAL = {"listener", "hl7", "orthanc"}
NOT_FROM_THE_SITE = {
    "CARINA_HOME", "CARINA_DATABASE_URL", "CARINA_DATABASE_OWNER_URL", "CARINA_BROKER_URL",
    "CARINA_LISTENER_HOST", "CARINA_LISTENER_PORT", "CARINA_HL7_HOST", "CARINA_HL7_PORT",
    "CARINA_WEB_HOST", "CARINA_WEB_PORT", "CARINA_DEVICE", "CARINA_LOG_FORMAT", "CARINA_PG_BIN",
}  # fmt: skip
"""What the composition itself decides."""
QUEUE_OF_COMMAND = {"work": celery_settings.GPU, "deliver": celery_settings.PACS}
INSTRUCTIONS = {
    "FROM", "ENV", "RUN", "COPY", "LABEL", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "EXPOSE",
    "CMD",
}  # fmt: skip


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


def test_every_part_of_the_production_system_is_there(services: dict[str, Any]) -> None:
    assert set(services) == OURS | THIRD_PARTY


def test_every_command_is_one_of_the_command_line(services: dict[str, Any]) -> None:
    for name in OURS:
        program, *words = services[name]["command"]
        assert program == "carina"
        assert " ".join(words) in cli.COMMANDS, name


def test_every_process_of_the_command_line_has_its_container(services: dict[str, Any]) -> None:
    processes = {name for name, entry in cli.COMMANDS.items() if entry.help.startswith("Process:")}
    assert processes
    assert processes <= {" ".join(services[name]["command"][1:]) for name in OURS}


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {f"CARINA_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        ours = {key for key in services[name]["environment"] if key.startswith("CARINA_")}
        assert ours <= known, name


def test_every_setting_that_is_the_site_s_is_passed_on(services: dict[str, Any]) -> None:
    passed = {
        key
        for name in ("listener", "hl7")
        for key, value in services[name]["environment"].items()
        if value is None or f"${{{key}:" in str(value)
    }
    known = {f"CARINA_{name.upper()}" for name in Settings.model_fields}
    assert known - passed == NOT_FROM_THE_SITE


def test_whoever_asks_an_archive_can_reach_it(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"]["inside"]["internal"] is True
    outward = {name for name, one in services.items() if "hospital" in one["networks"]}
    assert outward == ASKING_ARCHIVES | OPEN_TO_THE_HOSPITAL


def test_settings_in_the_file_are_accepted_by_the_settings(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in services["listener"]["environment"].items():
        if value is None:  # passed on as .env has it, else unset
            continue
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        given = re.sub(r"\$\{\w+:\?[^}]*\}", "PACS@127.0.0.1:4242", default)
        monkeypatch.setenv(key, given)
    monkeypatch.setenv("CARINA_CALLERS", "CR1@192.0.2.1")
    settings = Settings()
    assert settings.listener_port == 11112
    assert settings.listener_host == "0.0.0.0"
    assert settings.delivery == "auto"


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*)([^}]*)\}", text)
    assert len({name for name, _ in secrets}) == 4
    assert all(rest.startswith(":?") for _, rest in secrets)
    literal = [
        value
        for service in services.values()
        for key, value in service["environment"].items()
        if "PASS" in key and not str(value).startswith("${")
    ]
    assert not literal


def test_the_example_of_the_environment_names_every_variable_that_must_be_set() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / "deploy" / "docker" / "carina.env.example").read_text(encoding="utf-8")
    required = set(re.findall(r"\$\{(\w+):\?", compose))
    listed = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert required <= listed.keys()
    assert not any(value for name, value in listed.items() if "PASSWORD" in name)


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_have_no_rights_they_do_not_need(
    services: dict[str, Any], name: str
) -> None:
    service = services[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_every_long_running_container_has_a_health_check(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if service["restart"] != "no":
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name


def test_nothing_starts_before_the_tables_are_migrated(services: dict[str, Any]) -> None:
    for name in OURS - {"migrate"}:
        waits = services[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully", name
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_only_the_migration_knows_the_owner_of_the_tables(services: dict[str, Any]) -> None:
    knowing = {name for name in OURS if "OWNER" in json.dumps(services[name])}
    assert knowing == {"migrate"}


def test_the_database_and_the_broker_are_not_published(services: dict[str, Any]) -> None:
    for name in ("postgres", "rabbitmq"):
        assert "ports" not in services[name]
        assert services[name]["networks"] == ["inside"]


def test_what_must_survive_lies_on_a_declared_volume(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    }
    assert used == set(compose["volumes"])
    mounted = [v for s in services.values() for v in s["volumes"] if v.startswith(".")]
    assert mounted
    assert all((ROOT / volume.split(":")[0]).exists() for volume in mounted)


def test_every_queue_that_is_rung_is_listened_to(services: dict[str, Any]) -> None:
    commands = {services[name]["command"][1] for name in OURS}
    served = {QUEUE_OF_COMMAND[one] for one in commands if one in QUEUE_OF_COMMAND}
    rung = {route["queue"] for route in celery_settings.ROUTES.values()}
    assert rung
    assert rung <= served


def test_rabbitmq_lets_a_study_take_longer_than_half_an_hour() -> None:
    text = (ROOT / "deploy" / "docker" / "rabbitmq.conf").read_text(encoding="utf-8")
    (timeout_ms,) = re.findall(r"^consumer_timeout = (\d+)$", text, re.MULTILINE)
    assert int(timeout_ms) / 1000 > 2 * Settings.model_fields["hard_limit_s"].default


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of each logical line."""
    text = re.sub(r"\\\n\s*", " ", dockerfile.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(head, tail) for head, _, tail in pairs]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
class TestDockerfile:
    def test_every_line_is_an_instruction(self, dockerfile: Path) -> None:
        assert {head for head, _ in instructions(dockerfile)} <= INSTRUCTIONS

    def test_what_is_copied_exists_and_is_sent_to_the_engine(self, dockerfile: Path) -> None:
        sent = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
        copied = [tail.split() for head, tail in instructions(dockerfile) if head == "COPY"]
        local = [source for words in copied if "--from" not in words[0] for source in words[:-1]]
        assert local
        for source in local:
            assert (ROOT / source).exists(), source
            assert f"!{source.partition('/')[0]}" in sent, source

    def test_it_installs_by_hash_and_runs_unprivileged(self, dockerfile: Path) -> None:
        lines = instructions(dockerfile)
        locked = f"requirements/{dockerfile.stem}.txt"
        assert any(head == "COPY" and tail.startswith(locked) for head, tail in lines)
        installs = [t for h, t in lines if h == "RUN" and "pip install" in t and "-r" in t]
        assert all("--require-hashes" in one for one in installs)
        assert [tail for head, tail in lines if head == "USER"] == ["10001:10001"]

    def test_its_default_command_exists(self, dockerfile: Path) -> None:
        (command,) = [json.loads(tail) for head, tail in instructions(dockerfile) if head == "CMD"]
        assert command[0] == "carina"
        assert command[1] in cli.COMMANDS

    def test_compose_builds_it(self, dockerfile: Path, services: dict[str, Any]) -> None:
        built = {s["build"]["dockerfile"]: s["image"] for s in services.values() if "build" in s}
        version = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (number,) = re.findall(r'^version = "(.*)"$', version, re.MULTILINE)
        assert built[f"deploy/docker/{dockerfile.name}"] == f"carina-{dockerfile.stem}:{number}"


def test_the_composition_is_valid_for_docker_itself() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("no docker compose on this machine")
    variables = dict.fromkeys(
        ("CARINA_DATABASE_OWNER_PASSWORD", "CARINA_DATABASE_PASSWORD", "CARINA_BROKER_PASSWORD",
         "ORTHANC_PASSWORD", "CARINA_CALLERS", "CARINA_PACS"), "x"
    )  # fmt: skip
    subprocess.run(
        [docker, "compose", "--profile", "gpu", "--profile", "archive", "config", "--quiet"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **variables},
        check=True,
    )
