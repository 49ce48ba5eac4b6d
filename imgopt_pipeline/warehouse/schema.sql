-- The tables, with a comment on each table and column. Dagster's column metadata, the reference page and
-- the validation of everything stored come from here.
--
-- Facts about content are stored once, under the content's digest; facts about a host at a time belong to
-- an audit. Times are UTC.

CREATE TABLE IF NOT EXISTS audits (
    audit_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('complete', 'partial', 'unreachable')),
    engine_kind VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    image_store VARCHAR NOT NULL,
    images BIGINT NOT NULL CHECK (images >= 0),
    containers BIGINT NOT NULL CHECK (containers >= 0),
    layers BIGINT NOT NULL CHECK (layers >= 0),
    layers_read BIGINT NOT NULL CHECK (layers_read >= 0),
    problems BIGINT NOT NULL CHECK (problems >= 0),
    imgopt_version VARCHAR NOT NULL,
    analyser_version VARCHAR NOT NULL
);
COMMENT ON TABLE audits IS 'One audit of one host: when, with what, and how it ended.';
COMMENT ON COLUMN audits.audit_id IS 'The ID of the Dagster run.';
COMMENT ON COLUMN audits.host IS 'Name of the host in the settings.';
COMMENT ON COLUMN audits.started_at IS 'When the audit began.';
COMMENT ON COLUMN audits.finished_at IS 'When its report was made.';
COMMENT ON COLUMN audits.status IS 'complete, partial (see audit_problems), or unreachable: the host was not read at all.';
COMMENT ON COLUMN audits.engine_kind IS 'docker, podman or archives; empty where the host was unreachable.';
COMMENT ON COLUMN audits.engine_version IS 'Version of the engine.';
COMMENT ON COLUMN audits.image_store IS 'Where the engine keeps layers: overlay2, containerd, overlay (Podman), archives and others.';
COMMENT ON COLUMN audits.images IS 'Images on the host, dangling ones included.';
COMMENT ON COLUMN audits.containers IS 'Containers on the host, running or not.';
COMMENT ON COLUMN audits.layers IS 'Distinct layers of the images, by diff ID.';
COMMENT ON COLUMN audits.layers_read IS 'Layers that had to be read in this audit; the others were known.';
COMMENT ON COLUMN audits.problems IS 'Rows in audit_problems.';
COMMENT ON COLUMN audits.imgopt_version IS 'Version of imgopt that made the audit.';
COMMENT ON COLUMN audits.analyser_version IS 'Version of the layer analysis; it changes when results would.';

CREATE TABLE IF NOT EXISTS audit_problems (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    asset VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    hint VARCHAR NOT NULL
);
COMMENT ON TABLE audit_problems IS 'What an audit could not read, while it went on with the rest.';
COMMENT ON COLUMN audit_problems.audit_id IS 'The audit.';
COMMENT ON COLUMN audit_problems.host IS 'Name of the host.';
COMMENT ON COLUMN audit_problems.asset IS 'The asset that met the problem.';
COMMENT ON COLUMN audit_problems.subject IS 'The image, layer, file or host that it is about.';
COMMENT ON COLUMN audit_problems.kind IS 'Sort of problem, such as "host unreachable" or "unreadable archive"; remark where nothing is missing for it.';
COMMENT ON COLUMN audit_problems.message IS 'What happened.';
COMMENT ON COLUMN audit_problems.hint IS 'What to do about it; may be empty.';

CREATE TABLE IF NOT EXISTS host_facts (
    audit_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    engine_kind VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    image_store VARCHAR NOT NULL
);
COMMENT ON TABLE host_facts IS 'What a host was when its inventory was taken.';
COMMENT ON COLUMN host_facts.audit_id IS 'The audit.';
COMMENT ON COLUMN host_facts.host IS 'Name of the host.';
COMMENT ON COLUMN host_facts.started_at IS 'When the inventory was taken.';
COMMENT ON COLUMN host_facts.engine_kind IS 'docker, podman or archives; empty where the host was unreachable.';
COMMENT ON COLUMN host_facts.engine_version IS 'Version of the engine.';
COMMENT ON COLUMN host_facts.image_store IS 'Where the engine keeps layers.';

CREATE TABLE IF NOT EXISTS images (
    image_id VARCHAR PRIMARY KEY,
    chain_id VARCHAR NOT NULL,
    architecture VARCHAR NOT NULL,
    os VARCHAR NOT NULL,
    variant VARCHAR NOT NULL,
    created_at TIMESTAMP,
    layer_count INTEGER NOT NULL CHECK (layer_count >= 0),
    labels MAP(VARCHAR, VARCHAR) NOT NULL,
    default_user VARCHAR NOT NULL,
    has_healthcheck BOOLEAN NOT NULL,
    env_names VARCHAR[] NOT NULL
);
COMMENT ON TABLE images IS 'What an image says of itself. Values of environment variables are never stored.';
COMMENT ON COLUMN images.image_id IS 'The ID its store gives it: digest of the configuration, or of the manifest in a containerd store.';
COMMENT ON COLUMN images.chain_id IS 'Chain ID of the top layer: equal for images with equal content.';
COMMENT ON COLUMN images.architecture IS 'Processor architecture, such as amd64.';
COMMENT ON COLUMN images.os IS 'Operating system, such as linux.';
COMMENT ON COLUMN images.variant IS 'Variant of the architecture, such as v8; mostly empty.';
COMMENT ON COLUMN images.created_at IS 'When it was built, by its own account; null where it does not say.';
COMMENT ON COLUMN images.layer_count IS 'Layers, not counting history steps that made none.';
COMMENT ON COLUMN images.labels IS 'Labels; values that look like credentials are replaced.';
COMMENT ON COLUMN images.default_user IS 'The user it runs as; empty is root.';
COMMENT ON COLUMN images.has_healthcheck IS 'Whether it declares a health check.';
COMMENT ON COLUMN images.env_names IS 'Names of its environment variables, without values.';

CREATE TABLE IF NOT EXISTS image_layers (
    image_id VARCHAR NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    diff_id VARCHAR NOT NULL,
    chain_id VARCHAR NOT NULL,
    created_by VARCHAR,
    PRIMARY KEY (image_id, position)
);
COMMENT ON TABLE image_layers IS 'The layers of each image.';
COMMENT ON COLUMN image_layers.image_id IS 'The image.';
COMMENT ON COLUMN image_layers.position IS '0 is the base layer.';
COMMENT ON COLUMN image_layers.diff_id IS 'Digest of the layer''s uncompressed tar.';
COMMENT ON COLUMN image_layers.chain_id IS 'Digest of this layer on top of those below: what engines store once.';
COMMENT ON COLUMN image_layers.created_by IS 'The build step, credentials taken out; null where the history does not fit the layers.';

CREATE TABLE IF NOT EXISTS image_inventory (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    image_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    image_references VARCHAR[] NOT NULL,
    digests VARCHAR[] NOT NULL,
    dangling BOOLEAN NOT NULL,
    reported_bytes BIGINT CHECK (reported_bytes >= 0),
    base_image_id VARCHAR,
    base_reference VARCHAR,
    base_evidence VARCHAR CHECK (base_evidence IN ('annotation', 'layer prefix')),
    source VARCHAR NOT NULL,
    PRIMARY KEY (audit_id, image_id)
);
COMMENT ON TABLE image_inventory IS 'The images a host had at each audit.';
COMMENT ON COLUMN image_inventory.audit_id IS 'The audit.';
COMMENT ON COLUMN image_inventory.host IS 'Name of the host.';
COMMENT ON COLUMN image_inventory.image_id IS 'The image.';
COMMENT ON COLUMN image_inventory.name IS 'Its first reference, else its short ID.';
COMMENT ON COLUMN image_inventory.image_references IS 'All its tags.';
COMMENT ON COLUMN image_inventory.digests IS 'All its repository digests.';
COMMENT ON COLUMN image_inventory.dangling IS 'Whether no tag names it.';
COMMENT ON COLUMN image_inventory.reported_bytes IS 'Size by the engine''s own account; null for archives.';
COMMENT ON COLUMN image_inventory.base_image_id IS 'The local image it is built on, where one is.';
COMMENT ON COLUMN image_inventory.base_reference IS 'Name of the base image.';
COMMENT ON COLUMN image_inventory.base_evidence IS 'How the base is known: annotation, or layer prefix (the longest run of equal layers).';
COMMENT ON COLUMN image_inventory.source IS 'The archive file it was found in; empty for engines.';

CREATE TABLE IF NOT EXISTS container_inventory (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    container_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    image_id VARCHAR NOT NULL,
    image_reference VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    running BOOLEAN NOT NULL,
    created_at TIMESTAMP,
    started_at TIMESTAMP,
    restart_policy VARCHAR NOT NULL,
    restart_count BIGINT NOT NULL,
    compose_project VARCHAR,
    compose_service VARCHAR,
    compose_working_dir VARCHAR,
    compose_config_files VARCHAR[] NOT NULL,
    memory_limit_bytes BIGINT,
    log_driver VARCHAR NOT NULL,
    log_bytes BIGINT,
    writable_bytes BIGINT,
    PRIMARY KEY (audit_id, container_id)
);
COMMENT ON TABLE container_inventory IS 'The containers a host had at each audit, running or not.';
COMMENT ON COLUMN container_inventory.audit_id IS 'The audit.';
COMMENT ON COLUMN container_inventory.host IS 'Name of the host.';
COMMENT ON COLUMN container_inventory.container_id IS 'The container.';
COMMENT ON COLUMN container_inventory.name IS 'Its name.';
COMMENT ON COLUMN container_inventory.image_id IS 'The image it was made from.';
COMMENT ON COLUMN container_inventory.image_reference IS 'The name under which that image was asked for.';
COMMENT ON COLUMN container_inventory.state IS 'running, exited, created, paused, restarting or dead.';
COMMENT ON COLUMN container_inventory.running IS 'Whether its process runs.';
COMMENT ON COLUMN container_inventory.created_at IS 'When it was created.';
COMMENT ON COLUMN container_inventory.started_at IS 'When it was last started; null where it never was.';
COMMENT ON COLUMN container_inventory.restart_policy IS 'no, always, unless-stopped or on-failure.';
COMMENT ON COLUMN container_inventory.restart_count IS 'How often the engine restarted it.';
COMMENT ON COLUMN container_inventory.compose_project IS 'Compose project it belongs to.';
COMMENT ON COLUMN container_inventory.compose_service IS 'Service within that project.';
COMMENT ON COLUMN container_inventory.compose_working_dir IS 'The project''s folder on the host.';
COMMENT ON COLUMN container_inventory.compose_config_files IS 'The project''s compose files.';
COMMENT ON COLUMN container_inventory.memory_limit_bytes IS 'Memory limit; null for none.';
COMMENT ON COLUMN container_inventory.log_driver IS 'Log driver, such as json-file.';
COMMENT ON COLUMN container_inventory.log_bytes IS 'Bytes of its log files; null where they cannot be seen.';
COMMENT ON COLUMN container_inventory.writable_bytes IS 'Bytes of its writable layer.';

CREATE TABLE IF NOT EXISTS container_mounts (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    container_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    volume VARCHAR,
    writable BOOLEAN NOT NULL
);
COMMENT ON TABLE container_mounts IS 'What is mounted into the containers.';
COMMENT ON COLUMN container_mounts.audit_id IS 'The audit.';
COMMENT ON COLUMN container_mounts.host IS 'Name of the host.';
COMMENT ON COLUMN container_mounts.container_id IS 'The container.';
COMMENT ON COLUMN container_mounts.kind IS 'bind, volume or tmpfs.';
COMMENT ON COLUMN container_mounts.source IS 'Path on the host.';
COMMENT ON COLUMN container_mounts.destination IS 'Path in the container.';
COMMENT ON COLUMN container_mounts.volume IS 'Name of the volume, for volumes.';
COMMENT ON COLUMN container_mounts.writable IS 'Whether the container may write there.';

CREATE TABLE IF NOT EXISTS disk_usage (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('images', 'containers', 'volumes', 'build cache')),
    items BIGINT NOT NULL CHECK (items >= 0),
    active_items BIGINT NOT NULL CHECK (active_items >= 0),
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    reclaimable_bytes BIGINT NOT NULL CHECK (reclaimable_bytes >= 0),
    PRIMARY KEY (audit_id, kind)
);
COMMENT ON TABLE disk_usage IS 'What takes the disk by kind, as the engine tells it; latest_disk_usage has the exact figures for images.';
COMMENT ON COLUMN disk_usage.audit_id IS 'The audit.';
COMMENT ON COLUMN disk_usage.host IS 'Name of the host.';
COMMENT ON COLUMN disk_usage.kind IS 'images, containers, volumes or build cache.';
COMMENT ON COLUMN disk_usage.items IS 'How many there are.';
COMMENT ON COLUMN disk_usage.active_items IS 'How many of them are in use.';
COMMENT ON COLUMN disk_usage.size_bytes IS 'What they take.';
COMMENT ON COLUMN disk_usage.reclaimable_bytes IS 'What removing the unused ones would give back.';

CREATE TABLE IF NOT EXISTS layers (
    diff_id VARCHAR PRIMARY KEY,
    tar_bytes BIGINT CHECK (tar_bytes >= 0),
    file_bytes BIGINT NOT NULL CHECK (file_bytes >= 0),
    entry_count BIGINT NOT NULL CHECK (entry_count >= 0),
    reader VARCHAR NOT NULL,
    read_seconds DOUBLE NOT NULL CHECK (read_seconds >= 0),
    analyser_version VARCHAR NOT NULL
);
COMMENT ON TABLE layers IS 'Each layer that was read, once for all images and hosts.';
COMMENT ON COLUMN layers.diff_id IS 'Digest of the layer''s uncompressed tar.';
COMMENT ON COLUMN layers.tar_bytes IS 'Length of the tar stream; null where the reader does not see it.';
COMMENT ON COLUMN layers.file_bytes IS 'Sum of its files'' contents, a hard link counted once.';
COMMENT ON COLUMN layers.entry_count IS 'Paths that it names.';
COMMENT ON COLUMN layers.reader IS 'How it was read.';
COMMENT ON COLUMN layers.read_seconds IS 'How long reading it took.';
COMMENT ON COLUMN layers.analyser_version IS 'Version of the layer analysis.';

CREATE TABLE IF NOT EXISTS layer_reads (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    diff_id VARCHAR NOT NULL,
    PRIMARY KEY (audit_id, diff_id)
);
COMMENT ON TABLE layer_reads IS 'The layers that each audit had to read; the others were known from before.';
COMMENT ON COLUMN layer_reads.audit_id IS 'The audit.';
COMMENT ON COLUMN layer_reads.host IS 'Name of the host.';
COMMENT ON COLUMN layer_reads.diff_id IS 'The layer.';

CREATE TABLE IF NOT EXISTS layer_analysis (
    image_id VARCHAR PRIMARY KEY,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    live_bytes BIGINT NOT NULL CHECK (live_bytes >= 0),
    dead_bytes BIGINT NOT NULL CHECK (dead_bytes >= 0),
    live_files BIGINT NOT NULL CHECK (live_files >= 0),
    dead_files BIGINT NOT NULL CHECK (dead_files >= 0),
    efficiency DOUBLE NOT NULL CHECK (efficiency BETWEEN 0 AND 1),
    dive_efficiency DOUBLE NOT NULL CHECK (dive_efficiency BETWEEN 0 AND 1),
    dive_size_bytes BIGINT NOT NULL,
    dive_user_size_bytes BIGINT NOT NULL,
    dive_wasted_bytes BIGINT NOT NULL,
    dive_user_wasted_percent DOUBLE NOT NULL,
    analyser_version VARCHAR NOT NULL,
    CHECK (live_bytes + dead_bytes = size_bytes)
);
COMMENT ON TABLE layer_analysis IS 'What the layers of each image amount to: stored, visible and hidden bytes, and dive''s figures.';
COMMENT ON COLUMN layer_analysis.image_id IS 'The image.';
COMMENT ON COLUMN layer_analysis.size_bytes IS 'Sum of the file contents of all its layers.';
COMMENT ON COLUMN layer_analysis.live_bytes IS 'Contents visible in the final tree.';
COMMENT ON COLUMN layer_analysis.dead_bytes IS 'Contents that some layer stores and the final tree hides.';
COMMENT ON COLUMN layer_analysis.live_files IS 'Visible files, a hard link counted once.';
COMMENT ON COLUMN layer_analysis.dead_files IS 'Hidden files.';
COMMENT ON COLUMN layer_analysis.efficiency IS 'live_bytes / size_bytes; 1 for an empty image.';
COMMENT ON COLUMN layer_analysis.dive_efficiency IS 'Efficiency by dive''s formula, for comparison.';
COMMENT ON COLUMN layer_analysis.dive_size_bytes IS 'Size as dive counts it.';
COMMENT ON COLUMN layer_analysis.dive_user_size_bytes IS 'Size without the base layer, as dive counts it.';
COMMENT ON COLUMN layer_analysis.dive_wasted_bytes IS 'Waste by dive''s formula, which counts live copies too.';
COMMENT ON COLUMN layer_analysis.dive_user_wasted_percent IS 'dive_wasted_bytes / dive_user_size_bytes, a fraction.';
COMMENT ON COLUMN layer_analysis.analyser_version IS 'Version of the layer analysis.';

CREATE TABLE IF NOT EXISTS image_layer_bytes (
    image_id VARCHAR NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    live_bytes BIGINT NOT NULL CHECK (live_bytes >= 0),
    dead_bytes BIGINT NOT NULL CHECK (dead_bytes >= 0),
    PRIMARY KEY (image_id, position)
);
COMMENT ON TABLE image_layer_bytes IS 'How much of each layer is still visible in the image.';
COMMENT ON COLUMN image_layer_bytes.image_id IS 'The image.';
COMMENT ON COLUMN image_layer_bytes.position IS '0 is the base layer.';
COMMENT ON COLUMN image_layer_bytes.live_bytes IS 'Contents of this layer visible in the final tree.';
COMMENT ON COLUMN image_layer_bytes.dead_bytes IS 'Contents of this layer that later layers hide.';

CREATE TABLE IF NOT EXISTS wasted_files (
    image_id VARCHAR NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    path VARCHAR,
    files BIGINT NOT NULL CHECK (files >= 1),
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    killed_by INTEGER NOT NULL CHECK (killed_by >= position),
    reason VARCHAR NOT NULL CHECK (reason IN ('overwritten', 'deleted', 'metadata', 'opaque'))
);
COMMENT ON TABLE wasted_files IS 'Dead files: stored in one layer, hidden by a later one. The biggest by name, the rest in sums.';
COMMENT ON COLUMN wasted_files.image_id IS 'The image.';
COMMENT ON COLUMN wasted_files.position IS 'The layer that stores it; 0 is the base layer.';
COMMENT ON COLUMN wasted_files.path IS 'The file; null for the sum of all smaller ones of this layer, killer and reason.';
COMMENT ON COLUMN wasted_files.files IS 'Files in this row: 1, or more in a sum.';
COMMENT ON COLUMN wasted_files.size_bytes IS 'Their contents.';
COMMENT ON COLUMN wasted_files.killed_by IS 'The layer that hides it; its own layer where that names the path twice.';
COMMENT ON COLUMN wasted_files.reason IS 'overwritten, deleted, metadata (only mode, owner or time changed), or opaque (hidden by an opaque directory).';

CREATE TABLE IF NOT EXISTS package_inventory (
    image_id VARCHAR NOT NULL,
    ecosystem VARCHAR NOT NULL CHECK (ecosystem IN ('python', 'node', 'debian', 'alpine', 'conda', 'none')),
    name VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    local_version VARCHAR,
    location VARCHAR NOT NULL,
    position INTEGER CHECK (position >= 0),
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    files BIGINT NOT NULL CHECK (files >= 0),
    installed_bytes BIGINT,
    requested BOOLEAN,
    development BOOLEAN NOT NULL,
    only_recommended BOOLEAN NOT NULL,
    section VARCHAR NOT NULL,
    requires VARCHAR[] NOT NULL,
    gpu_role VARCHAR NOT NULL CHECK (gpu_role IN ('', 'library', 'framework', 'compiler', 'plugin', 'needs gpu')),
    fingerprint VARCHAR
);
COMMENT ON TABLE package_inventory IS 'The packages of each image with their bytes. The row of ecosystem none is what no package owns; all rows of an image add up to its live bytes.';
COMMENT ON COLUMN package_inventory.image_id IS 'The image.';
COMMENT ON COLUMN package_inventory.ecosystem IS 'python, node, debian, alpine, conda; none for the bytes that no package owns.';
COMMENT ON COLUMN package_inventory.name IS 'Its name as its metadata writes it; empty for ecosystem none.';
COMMENT ON COLUMN package_inventory.version IS 'Its version by its metadata.';
COMMENT ON COLUMN package_inventory.local_version IS 'The version that its own code states where that says more, such as 2.8.0+cu128.';
COMMENT ON COLUMN package_inventory.location IS 'The folder it is installed in, or the database that lists it.';
COMMENT ON COLUMN package_inventory.position IS 'The layer that holds most of its bytes, else its metadata.';
COMMENT ON COLUMN package_inventory.size_bytes IS 'Live bytes of its files.';
COMMENT ON COLUMN package_inventory.files IS 'Its live files.';
COMMENT ON COLUMN package_inventory.installed_bytes IS 'Its size by its own database; null where that does not say.';
COMMENT ON COLUMN package_inventory.requested IS 'Whether somebody asked for it; false where it came as a dependency, null where that is not recorded.';
COMMENT ON COLUMN package_inventory.development IS 'Whether only development needs it (Node).';
COMMENT ON COLUMN package_inventory.only_recommended IS 'Whether it came only through Recommends (Debian).';
COMMENT ON COLUMN package_inventory.section IS 'Section of the distribution, such as libdevel; empty elsewhere.';
COMMENT ON COLUMN package_inventory.requires IS 'Names of the packages that it requires.';
COMMENT ON COLUMN package_inventory.gpu_role IS 'What a GPU build is to it: library (CUDA or ROCm itself), framework (has a CPU variant), compiler, plugin, needs gpu; empty for most.';
COMMENT ON COLUMN package_inventory.fingerprint IS 'Equal for packages with equal files, from sizes and checksums; null where the layers were read without checksums.';

CREATE TABLE IF NOT EXISTS space_usage (
    image_id VARCHAR NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    category VARCHAR NOT NULL,
    prefix VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    files BIGINT NOT NULL CHECK (files >= 0)
);
COMMENT ON TABLE space_usage IS 'What fills each image: every live byte in exactly one category, by layer and path prefix. Ready for a treemap.';
COMMENT ON COLUMN space_usage.image_id IS 'The image.';
COMMENT ON COLUMN space_usage.position IS 'The layer that stores it.';
COMMENT ON COLUMN space_usage.category IS 'Category, such as GPU libraries or package caches; docs/reference/categories.md lists them.';
COMMENT ON COLUMN space_usage.prefix IS 'Folder, four names deep or down to the package; empty for many small ones together.';
COMMENT ON COLUMN space_usage.size_bytes IS 'Live bytes.';
COMMENT ON COLUMN space_usage.files IS 'Live files.';

CREATE TABLE IF NOT EXISTS removable_bytes (
    image_id VARCHAR NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    dead BOOLEAN NOT NULL,
    claims VARCHAR[] NOT NULL,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    files BIGINT NOT NULL CHECK (files >= 0),
    example VARCHAR NOT NULL
);
COMMENT ON TABLE removable_bytes IS 'Bytes that some technique would remove, grouped by the set of techniques that claim them, so that no byte counts twice whichever are chosen.';
COMMENT ON COLUMN removable_bytes.image_id IS 'The image.';
COMMENT ON COLUMN removable_bytes.position IS 'The layer that stores them.';
COMMENT ON COLUMN removable_bytes.dead IS 'Whether later layers hide them already.';
COMMENT ON COLUMN removable_bytes.claims IS 'Techniques with how sure each is, such as R1:low (counts in the low estimate), R9:likely, R15:high (in the high one only).';
COMMENT ON COLUMN removable_bytes.size_bytes IS 'The bytes.';
COMMENT ON COLUMN removable_bytes.files IS 'The files.';
COMMENT ON COLUMN removable_bytes.example IS 'The biggest of the files.';

CREATE TABLE IF NOT EXISTS image_gpu (
    image_id VARCHAR PRIMARY KEY,
    build VARCHAR NOT NULL CHECK (build IN ('cuda', 'rocm', 'cpu', 'none')),
    versions VARCHAR[] NOT NULL,
    gpu_bytes BIGINT NOT NULL CHECK (gpu_bytes >= 0),
    need VARCHAR NOT NULL CHECK (need IN ('required', 'likely', 'optional', 'none', 'unknown')),
    environment MAP(VARCHAR, VARCHAR) NOT NULL,
    content_version VARCHAR NOT NULL
);
COMMENT ON TABLE image_gpu IS 'What each image has to do with GPUs, by its content alone.';
COMMENT ON COLUMN image_gpu.image_id IS 'The image.';
COMMENT ON COLUMN image_gpu.build IS 'cuda, rocm, cpu (a framework without GPU code), or none.';
COMMENT ON COLUMN image_gpu.versions IS 'Frameworks and toolkits with versions.';
COMMENT ON COLUMN image_gpu.gpu_bytes IS 'Live bytes that only a GPU build has.';
COMMENT ON COLUMN image_gpu.need IS 'Whether the application needs a GPU: required, likely, optional, none, unknown.';
COMMENT ON COLUMN image_gpu.environment IS 'Environment variables about GPUs and devices, the only ones whose values are kept.';
COMMENT ON COLUMN image_gpu.content_version IS 'Version of the content analysis.';

CREATE TABLE IF NOT EXISTS gpu_evidence (
    image_id VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL CHECK (aspect IN ('build', 'grant', 'use', 'need', 'host')),
    statement VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    weight VARCHAR NOT NULL CHECK (weight IN ('certain', 'very high', 'high', 'medium', 'weak')),
    value VARCHAR NOT NULL
);
COMMENT ON TABLE gpu_evidence IS 'What in an image speaks for or against a GPU, each piece with its source.';
COMMENT ON COLUMN gpu_evidence.image_id IS 'The image.';
COMMENT ON COLUMN gpu_evidence.aspect IS 'What it is about: build, grant, use, need or host.';
COMMENT ON COLUMN gpu_evidence.statement IS 'What was found, in words.';
COMMENT ON COLUMN gpu_evidence.source IS 'Where: a path in the image with line, or a setting.';
COMMENT ON COLUMN gpu_evidence.weight IS 'certain, very high, high, medium or weak.';
COMMENT ON COLUMN gpu_evidence.value IS 'What it says for its aspect, such as cuda, required, configurable or cpu; empty where it only informs.';

CREATE TABLE IF NOT EXISTS content_remarks (
    image_id VARCHAR NOT NULL,
    remark VARCHAR NOT NULL
);
COMMENT ON TABLE content_remarks IS 'Broken pieces of metadata in each image that were passed over.';
COMMENT ON COLUMN content_remarks.image_id IS 'The image.';
COMMENT ON COLUMN content_remarks.remark IS 'What was broken, in words.';

CREATE TABLE IF NOT EXISTS host_gpus (
    audit_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    known BOOLEAN NOT NULL,
    devices VARCHAR[] NOT NULL,
    driver_version VARCHAR,
    runtimes VARCHAR[] NOT NULL,
    default_runtime VARCHAR NOT NULL,
    evidence VARCHAR[] NOT NULL
);
COMMENT ON TABLE host_gpus IS 'What a host has for GPUs.';
COMMENT ON COLUMN host_gpus.audit_id IS 'The audit.';
COMMENT ON COLUMN host_gpus.host IS 'Name of the host.';
COMMENT ON COLUMN host_gpus.known IS 'Whether it could be looked at; false for folders of archives.';
COMMENT ON COLUMN host_gpus.devices IS 'GPU devices such as /dev/nvidia0.';
COMMENT ON COLUMN host_gpus.driver_version IS 'Version of the driver; null where there is none, unknown where it cannot be read.';
COMMENT ON COLUMN host_gpus.runtimes IS 'Container runtimes of the engine.';
COMMENT ON COLUMN host_gpus.default_runtime IS 'The runtime of containers that name none.';
COMMENT ON COLUMN host_gpus.evidence IS 'What was looked at and what was seen, in words.';

CREATE TABLE IF NOT EXISTS container_gpus (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    container_id VARCHAR NOT NULL,
    runtime VARCHAR NOT NULL,
    requests VARCHAR[] NOT NULL,
    environment MAP(VARCHAR, VARCHAR) NOT NULL,
    arguments VARCHAR[] NOT NULL,
    processes VARCHAR[],
    PRIMARY KEY (audit_id, container_id)
);
COMMENT ON TABLE container_gpus IS 'What each container was given and told about GPUs.';
COMMENT ON COLUMN container_gpus.audit_id IS 'The audit.';
COMMENT ON COLUMN container_gpus.host IS 'Name of the host.';
COMMENT ON COLUMN container_gpus.container_id IS 'The container.';
COMMENT ON COLUMN container_gpus.runtime IS 'Its runtime; empty for the default one.';
COMMENT ON COLUMN container_gpus.requests IS 'GPU devices it was given, as the engine writes them.';
COMMENT ON COLUMN container_gpus.environment IS 'Its environment variables about GPUs and devices, the only ones whose values are kept.';
COMMENT ON COLUMN container_gpus.arguments IS 'Arguments of its command that name a device, such as --device cpu.';
COMMENT ON COLUMN container_gpus.processes IS 'Its processes that a GPU lists; null where no GPU could be asked.';

CREATE TABLE IF NOT EXISTS gpu_checks (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    image_id VARCHAR NOT NULL,
    container_id VARCHAR,
    subject VARCHAR NOT NULL,
    build VARCHAR NOT NULL CHECK (build IN ('cuda', 'rocm', 'cpu', 'none')),
    versions VARCHAR[] NOT NULL,
    gpu_bytes BIGINT NOT NULL,
    granted BOOLEAN,
    used BOOLEAN,
    need VARCHAR NOT NULL CHECK (need IN ('required', 'likely', 'optional', 'none', 'unknown')),
    verdict VARCHAR NOT NULL CHECK (verdict IN ('denied', 'granted', 'used', 'required', 'broken', 'unknown')),
    confidence VARCHAR NOT NULL CHECK (confidence IN ('certain', 'very high', 'high', 'medium', 'low')),
    explanation VARCHAR NOT NULL,
    evidence STRUCT(aspect VARCHAR, statement VARCHAR, source VARCHAR, weight VARCHAR)[] NOT NULL
);
COMMENT ON TABLE gpu_checks IS 'The GPU verdict on each image and each container at each audit, with the evidence.';
COMMENT ON COLUMN gpu_checks.audit_id IS 'The audit.';
COMMENT ON COLUMN gpu_checks.host IS 'Name of the host.';
COMMENT ON COLUMN gpu_checks.image_id IS 'The image.';
COMMENT ON COLUMN gpu_checks.container_id IS 'The container; null for the image as a whole, over all its containers.';
COMMENT ON COLUMN gpu_checks.subject IS 'Name of the image or container.';
COMMENT ON COLUMN gpu_checks.build IS 'cuda, rocm, cpu or none.';
COMMENT ON COLUMN gpu_checks.versions IS 'Frameworks and toolkits with versions.';
COMMENT ON COLUMN gpu_checks.gpu_bytes IS 'Live bytes that only a GPU build has.';
COMMENT ON COLUMN gpu_checks.granted IS 'Whether a GPU is given to it; null where that cannot be known.';
COMMENT ON COLUMN gpu_checks.used IS 'Whether a process of it was seen on a GPU; null where none could be asked.';
COMMENT ON COLUMN gpu_checks.need IS 'required, likely, optional, none or unknown.';
COMMENT ON COLUMN gpu_checks.verdict IS 'denied (no GPU given, none there, none required), granted, used, required (an image that needs one, no container of it known), broken (needs one and has none), unknown.';
COMMENT ON COLUMN gpu_checks.confidence IS 'certain, very high, high, medium or low.';
COMMENT ON COLUMN gpu_checks.explanation IS 'The verdict in a sentence.';
COMMENT ON COLUMN gpu_checks.evidence IS 'Each piece of evidence with its source.';

CREATE TABLE IF NOT EXISTS volume_inventory (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    driver VARCHAR NOT NULL,
    mountpoint VARCHAR NOT NULL,
    size_bytes BIGINT CHECK (size_bytes >= 0),
    containers BIGINT NOT NULL CHECK (containers >= 0),
    anonymous BOOLEAN NOT NULL,
    PRIMARY KEY (audit_id, name)
);
COMMENT ON TABLE volume_inventory IS 'The volumes a host had at each audit.';
COMMENT ON COLUMN volume_inventory.audit_id IS 'The audit.';
COMMENT ON COLUMN volume_inventory.host IS 'Name of the host.';
COMMENT ON COLUMN volume_inventory.name IS 'Its name.';
COMMENT ON COLUMN volume_inventory.driver IS 'Its driver, mostly local.';
COMMENT ON COLUMN volume_inventory.mountpoint IS 'Its folder on the host.';
COMMENT ON COLUMN volume_inventory.size_bytes IS 'What it holds; null where the engine does not know.';
COMMENT ON COLUMN volume_inventory.containers IS 'Containers, running or not, that mount it.';
COMMENT ON COLUMN volume_inventory.anonymous IS 'Whether the engine named it.';

CREATE TABLE IF NOT EXISTS data_directories (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('bind', 'volume', 'project')),
    volume VARCHAR,
    containers VARCHAR[] NOT NULL,
    compose_project VARCHAR,
    running BOOLEAN NOT NULL,
    size_bytes BIGINT CHECK (size_bytes >= 0),
    files BIGINT CHECK (files >= 0),
    contents VARCHAR NOT NULL,
    contents_bytes MAP(VARCHAR, BIGINT) NOT NULL,
    unmodified_bytes BIGINT,
    unread_bytes BIGINT,
    unused_bytes BIGINT,
    idle_days INTEGER NOT NULL,
    filesystem VARCHAR NOT NULL,
    remote BOOLEAN NOT NULL,
    in_use_by VARCHAR[],
    complete BOOLEAN NOT NULL,
    PRIMARY KEY (audit_id, path)
);
COMMENT ON TABLE data_directories IS 'Directories of the host that containers mount, and large ones beside compose files.';
COMMENT ON COLUMN data_directories.audit_id IS 'The audit.';
COMMENT ON COLUMN data_directories.host IS 'Name of the host.';
COMMENT ON COLUMN data_directories.path IS 'The directory.';
COMMENT ON COLUMN data_directories.kind IS 'bind, volume, or project: a directory in the folder of a compose project.';
COMMENT ON COLUMN data_directories.volume IS 'Name of the volume, for volumes.';
COMMENT ON COLUMN data_directories.containers IS 'Names of the containers that mount it.';
COMMENT ON COLUMN data_directories.compose_project IS 'The compose project it belongs to.';
COMMENT ON COLUMN data_directories.running IS 'Whether any of these containers runs.';
COMMENT ON COLUMN data_directories.size_bytes IS 'What its files take of the disk: of each its length, or less where it is sparse or compressed; of a described host the lengths. Null where it cannot be read from here.';
COMMENT ON COLUMN data_directories.files IS 'Its files.';
COMMENT ON COLUMN data_directories.contents IS 'What most of its bytes are: audio, video, images, models, node_modules, build output, database, archives, logs, source, other, unknown.';
COMMENT ON COLUMN data_directories.contents_bytes IS 'Bytes by that kind.';
COMMENT ON COLUMN data_directories.unmodified_bytes IS 'Bytes of files not modified for idle_days.';
COMMENT ON COLUMN data_directories.unread_bytes IS 'Bytes of files not read for idle_days; null where the file system does not record reads.';
COMMENT ON COLUMN data_directories.unused_bytes IS 'Bytes of files neither modified nor read for idle_days.';
COMMENT ON COLUMN data_directories.idle_days IS 'The days that these three mean.';
COMMENT ON COLUMN data_directories.filesystem IS 'Type of the file system it lies on.';
COMMENT ON COLUMN data_directories.remote IS 'Whether that is a remote one.';
COMMENT ON COLUMN data_directories.in_use_by IS 'Processes with their working directory or open files there; null where processes cannot be seen.';
COMMENT ON COLUMN data_directories.complete IS 'Whether all of it was read within the limits.';

CREATE TABLE IF NOT EXISTS finding_rules (
    rule_id VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    technique VARCHAR,
    severity VARCHAR NOT NULL,
    risk VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    source VARCHAR NOT NULL
);
COMMENT ON TABLE finding_rules IS 'The rules that were last run, by the headers of their files.';
COMMENT ON COLUMN finding_rules.rule_id IS 'Its ID, the name of its file.';
COMMENT ON COLUMN finding_rules.title IS 'What it finds.';
COMMENT ON COLUMN finding_rules.technique IS 'The technique R1 to R18 that mends it; null for none of these.';
COMMENT ON COLUMN finding_rules.severity IS 'high, medium, low or info.';
COMMENT ON COLUMN finding_rules.risk IS 'Risk of mending it: none, low, medium or high.';
COMMENT ON COLUMN finding_rules.why IS 'Why it matters.';
COMMENT ON COLUMN finding_rules.source IS 'built in, or the file it came from.';

CREATE TABLE IF NOT EXISTS findings (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    technique VARCHAR,
    severity VARCHAR NOT NULL CHECK (severity IN ('high', 'medium', 'low', 'info')),
    subject_kind VARCHAR NOT NULL CHECK (subject_kind IN ('image', 'container', 'volume', 'directory', 'host')),
    subject VARCHAR NOT NULL,
    image_id VARCHAR,
    path VARCHAR,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    low_bytes BIGINT NOT NULL CHECK (low_bytes >= 0),
    likely_bytes BIGINT NOT NULL,
    high_bytes BIGINT NOT NULL,
    evidence VARCHAR NOT NULL,
    advice VARCHAR NOT NULL,
    CHECK (low_bytes <= likely_bytes AND likely_bytes <= high_bytes)
);
COMMENT ON TABLE findings IS 'What the rules found at each audit.';
COMMENT ON COLUMN findings.audit_id IS 'The audit.';
COMMENT ON COLUMN findings.host IS 'Name of the host.';
COMMENT ON COLUMN findings.rule_id IS 'The rule; see finding_rules.';
COMMENT ON COLUMN findings.technique IS 'The technique that mends it; null for none.';
COMMENT ON COLUMN findings.severity IS 'high, medium, low or info.';
COMMENT ON COLUMN findings.subject_kind IS 'image, container, volume, directory or host.';
COMMENT ON COLUMN findings.subject IS 'Name of the image, container, volume or host, or path of the directory.';
COMMENT ON COLUMN findings.image_id IS 'The image, where it is about one.';
COMMENT ON COLUMN findings.path IS 'The path, where it is about one.';
COMMENT ON COLUMN findings.size_bytes IS 'The bytes it is about.';
COMMENT ON COLUMN findings.low_bytes IS 'What mending it gives back at least, taken by itself; 0 where it saves no space.';
COMMENT ON COLUMN findings.likely_bytes IS 'What mending it likely gives back, taken by itself.';
COMMENT ON COLUMN findings.high_bytes IS 'What mending it gives back at most, taken by itself.';
COMMENT ON COLUMN findings.evidence IS 'What was seen and counted.';
COMMENT ON COLUMN findings.advice IS 'What to do.';

CREATE TABLE IF NOT EXISTS optimization_plan (
    audit_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    rank INTEGER NOT NULL CHECK (rank >= 1),
    subject_kind VARCHAR NOT NULL CHECK (subject_kind IN ('image', 'container', 'volume', 'directory', 'host')),
    subject VARCHAR NOT NULL,
    image_id VARCHAR,
    path VARCHAR,
    decision VARCHAR NOT NULL CHECK (decision IN ('optimize', 'accept', 'avoid', 'needs a person')),
    action VARCHAR NOT NULL,
    techniques VARCHAR[] NOT NULL,
    rules VARCHAR[] NOT NULL,
    complexity VARCHAR NOT NULL CHECK (complexity IN ('low', 'medium', 'high')),
    risk VARCHAR NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
    priority VARCHAR NOT NULL CHECK (priority IN ('high', 'medium', 'low', 'none')),
    phase INTEGER CHECK (phase BETWEEN 1 AND 3),
    size_bytes BIGINT NOT NULL,
    low_bytes BIGINT NOT NULL,
    likely_bytes BIGINT NOT NULL,
    high_bytes BIGINT NOT NULL,
    counted VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    prerequisites VARCHAR[] NOT NULL,
    command VARCHAR NOT NULL,
    PRIMARY KEY (audit_id, rank),
    CHECK (low_bytes <= likely_bytes AND likely_bytes <= high_bytes)
);
COMMENT ON TABLE optimization_plan IS 'What to do about each image and directory, the first first. Gains do not overlap.';
COMMENT ON COLUMN optimization_plan.audit_id IS 'The audit.';
COMMENT ON COLUMN optimization_plan.host IS 'Name of the host.';
COMMENT ON COLUMN optimization_plan.rank IS '1 is what to do first: by gain over risk.';
COMMENT ON COLUMN optimization_plan.subject_kind IS 'image, container, volume, directory or host.';
COMMENT ON COLUMN optimization_plan.subject IS 'Name of the image, or path of the directory, or what of the host.';
COMMENT ON COLUMN optimization_plan.image_id IS 'The image, where it is about one.';
COMMENT ON COLUMN optimization_plan.path IS 'The directory, where it is about one.';
COMMENT ON COLUMN optimization_plan.decision IS 'optimize, accept (leave it), avoid (do not touch it), needs a person.';
COMMENT ON COLUMN optimization_plan.action IS 'What to do, in a few words.';
COMMENT ON COLUMN optimization_plan.techniques IS 'The techniques it uses.';
COMMENT ON COLUMN optimization_plan.rules IS 'The rules whose findings it answers.';
COMMENT ON COLUMN optimization_plan.complexity IS 'low, medium or high.';
COMMENT ON COLUMN optimization_plan.risk IS 'low, medium or high.';
COMMENT ON COLUMN optimization_plan.priority IS 'high, medium, low or none.';
COMMENT ON COLUMN optimization_plan.phase IS '1 first, 2 next, 3 if at all; null where nothing is to be done.';
COMMENT ON COLUMN optimization_plan.size_bytes IS 'What the image or directory takes now.';
COMMENT ON COLUMN optimization_plan.low_bytes IS 'The gain at least.';
COMMENT ON COLUMN optimization_plan.likely_bytes IS 'The likely gain.';
COMMENT ON COLUMN optimization_plan.high_bytes IS 'The gain at most.';
COMMENT ON COLUMN optimization_plan.counted IS 'What the gain is made of.';
COMMENT ON COLUMN optimization_plan.reason IS 'Why this decision.';
COMMENT ON COLUMN optimization_plan.prerequisites IS 'What has to be done or true, in order; those that begin with After follow the command.';
COMMENT ON COLUMN optimization_plan.command IS 'The command that does it; empty where nothing is to be done.';

CREATE TABLE IF NOT EXISTS builds (
    build_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    reference VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('rewrite', 'flatten')),
    outcome VARCHAR NOT NULL CHECK (outcome IN ('kept', 'nothing to change', 'failed')),
    source_image_id VARCHAR NOT NULL,
    candidate_image_id VARCHAR,
    candidate_reference VARCHAR,
    origin VARCHAR NOT NULL,
    dockerfile VARCHAR,
    level VARCHAR NOT NULL,
    techniques VARCHAR[] NOT NULL,
    dropped VARCHAR[] NOT NULL,
    old_bytes BIGINT NOT NULL CHECK (old_bytes >= 0),
    new_bytes BIGINT CHECK (new_bytes >= 0),
    low_bytes BIGINT NOT NULL CHECK (low_bytes >= 0),
    likely_bytes BIGINT NOT NULL,
    high_bytes BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    started_at TIMESTAMP NOT NULL,
    seconds DOUBLE NOT NULL,
    folder VARCHAR NOT NULL,
    summary VARCHAR NOT NULL,
    remarks VARCHAR[] NOT NULL,
    imgopt_version VARCHAR NOT NULL,
    CHECK (low_bytes <= likely_bytes AND likely_bytes <= high_bytes)
);
COMMENT ON TABLE builds IS 'Each optimized build of an image: what was changed, whether the candidate passed its checks, what it measured.';
COMMENT ON COLUMN builds.build_id IS 'Its ID, that of the Dagster run.';
COMMENT ON COLUMN builds.host IS 'Name of the host it was built on.';
COMMENT ON COLUMN builds.reference IS 'The image in use, as it was named.';
COMMENT ON COLUMN builds.kind IS 'rewrite (of its Dockerfile) or flatten (its merged tree as one layer).';
COMMENT ON COLUMN builds.outcome IS 'kept: the candidate passed its checks and is smaller; nothing to change; failed.';
COMMENT ON COLUMN builds.source_image_id IS 'The image in use, by ID.';
COMMENT ON COLUMN builds.candidate_image_id IS 'The candidate that was kept; null for none.';
COMMENT ON COLUMN builds.candidate_reference IS 'The tag of the candidate that was kept; null for none.';
COMMENT ON COLUMN builds.origin IS 'Who named the Dockerfile.';
COMMENT ON COLUMN builds.dockerfile IS 'Path of the Dockerfile on its host; null for flatten.';
COMMENT ON COLUMN builds.level IS 'How far rules might go: safe, balanced, aggressive, or chosen.';
COMMENT ON COLUMN builds.techniques IS 'The rules in the candidate that was kept, or in the last attempt.';
COMMENT ON COLUMN builds.dropped IS 'The rules that were tried and given up.';
COMMENT ON COLUMN builds.old_bytes IS 'Stored bytes of the image in use.';
COMMENT ON COLUMN builds.new_bytes IS 'Stored bytes of the candidate, measured; null for none.';
COMMENT ON COLUMN builds.low_bytes IS 'Gain expected of these rules at least.';
COMMENT ON COLUMN builds.likely_bytes IS 'Gain expected.';
COMMENT ON COLUMN builds.high_bytes IS 'Gain expected at most.';
COMMENT ON COLUMN builds.attempts IS 'Builds that it took.';
COMMENT ON COLUMN builds.started_at IS 'When it began, UTC.';
COMMENT ON COLUMN builds.seconds IS 'How long it took with all checks.';
COMMENT ON COLUMN builds.folder IS 'Where Dockerfiles, diff and logs lie.';
COMMENT ON COLUMN builds.summary IS 'What came of it, in a sentence.';
COMMENT ON COLUMN builds.remarks IS 'What else a person should know: differences between Dockerfile and image, what was written.';
COMMENT ON COLUMN builds.imgopt_version IS 'The version of imgopt.';

CREATE TABLE IF NOT EXISTS build_attempts (
    build_id VARCHAR NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    techniques VARCHAR[] NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('passed', 'check failed', 'build failed')),
    failed_checks VARCHAR[] NOT NULL,
    detail VARCHAR NOT NULL,
    image_id VARCHAR,
    size_bytes BIGINT,
    build_seconds DOUBLE NOT NULL,
    check_seconds DOUBLE NOT NULL,
    log_file VARCHAR NOT NULL,
    PRIMARY KEY (build_id, attempt)
);
COMMENT ON TABLE build_attempts IS 'Every build that an optimization tried, the one that was kept and those that failed.';
COMMENT ON COLUMN build_attempts.build_id IS 'The optimized build.';
COMMENT ON COLUMN build_attempts.attempt IS 'Counted from 1.';
COMMENT ON COLUMN build_attempts.techniques IS 'The rules in it.';
COMMENT ON COLUMN build_attempts.outcome IS 'passed, check failed or build failed.';
COMMENT ON COLUMN build_attempts.failed_checks IS 'The checks that failed.';
COMMENT ON COLUMN build_attempts.detail IS 'What failed, in words.';
COMMENT ON COLUMN build_attempts.image_id IS 'What it built; null for nothing.';
COMMENT ON COLUMN build_attempts.size_bytes IS 'Stored bytes of that.';
COMMENT ON COLUMN build_attempts.build_seconds IS 'How long building took.';
COMMENT ON COLUMN build_attempts.check_seconds IS 'How long checking took.';
COMMENT ON COLUMN build_attempts.log_file IS 'The log of the build.';

CREATE TABLE IF NOT EXISTS build_rules (
    build_id VARCHAR NOT NULL,
    technique VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    decision VARCHAR NOT NULL CHECK (decision IN ('kept', 'dropped', 'left out')),
    reason VARCHAR NOT NULL,
    low_bytes BIGINT,
    likely_bytes BIGINT,
    high_bytes BIGINT,
    measured_bytes BIGINT,
    PRIMARY KEY (build_id, technique)
);
COMMENT ON TABLE build_rules IS 'What became of each rule in an optimized build, and what it was expected and measured to free.';
COMMENT ON COLUMN build_rules.build_id IS 'The optimized build.';
COMMENT ON COLUMN build_rules.technique IS 'The rule, R1 to R18.';
COMMENT ON COLUMN build_rules.title IS 'What it does.';
COMMENT ON COLUMN build_rules.decision IS 'kept; dropped: its candidate failed a check; left out: not tried, for the reason told.';
COMMENT ON COLUMN build_rules.reason IS 'Why it changed what it changed, was dropped or left out.';
COMMENT ON COLUMN build_rules.low_bytes IS 'Gain expected at least; null where it was not tried.';
COMMENT ON COLUMN build_rules.likely_bytes IS 'Gain expected.';
COMMENT ON COLUMN build_rules.high_bytes IS 'Gain expected at most.';
COMMENT ON COLUMN build_rules.measured_bytes IS 'Bytes it claimed that the candidate has no more; null where it was not kept.';

CREATE TABLE IF NOT EXISTS build_checks (
    build_id VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    check_name VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('passed', 'failed', 'unverified')),
    old_value VARCHAR NOT NULL,
    new_value VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    seconds DOUBLE NOT NULL
);
COMMENT ON TABLE build_checks IS 'The checks of every candidate, each against the image in use doing the same.';
COMMENT ON COLUMN build_checks.build_id IS 'The optimized build.';
COMMENT ON COLUMN build_checks.attempt IS 'The attempt whose candidate was checked.';
COMMENT ON COLUMN build_checks.check_name IS 'The check.';
COMMENT ON COLUMN build_checks.outcome IS 'passed, failed, or unverified: it could not be tried here.';
COMMENT ON COLUMN build_checks.old_value IS 'What was seen at the image in use.';
COMMENT ON COLUMN build_checks.new_value IS 'What was seen at the candidate.';
COMMENT ON COLUMN build_checks.detail IS 'What is wrong, or why it is not verified; empty where it passed.';
COMMENT ON COLUMN build_checks.seconds IS 'How long it took.';

CREATE TABLE IF NOT EXISTS approvals (
    approval_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    subject_kind VARCHAR NOT NULL,
    image_id VARCHAR,
    path VARCHAR,
    action VARCHAR NOT NULL,
    approved_by VARCHAR NOT NULL,
    approved_at TIMESTAMP NOT NULL,
    note VARCHAR NOT NULL
);
COMMENT ON TABLE approvals IS 'A person said yes to an item of the plan.';
COMMENT ON COLUMN approvals.approval_id IS 'The approval.';
COMMENT ON COLUMN approvals.host IS 'Name of the host.';
COMMENT ON COLUMN approvals.subject IS 'What the item of the plan is about.';
COMMENT ON COLUMN approvals.subject_kind IS 'image, container, volume or directory.';
COMMENT ON COLUMN approvals.image_id IS 'The image as it then was; another image of that name is not approved.';
COMMENT ON COLUMN approvals.path IS 'The directory.';
COMMENT ON COLUMN approvals.action IS 'What was approved, in the words of the plan.';
COMMENT ON COLUMN approvals.approved_by IS 'Who said so.';
COMMENT ON COLUMN approvals.approved_at IS 'When.';
COMMENT ON COLUMN approvals.note IS 'What they added; may be empty.';

CREATE TABLE IF NOT EXISTS deployments (
    deployment_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    reference VARCHAR,
    units VARCHAR[] NOT NULL,
    methods VARCHAR[] NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('verified', 'rolled back', 'rollback failed', 'unchanged', 'open')),
    reason VARCHAR NOT NULL,
    build_id VARCHAR NOT NULL,
    old_image_id VARCHAR NOT NULL,
    new_image_id VARCHAR NOT NULL,
    old_bytes BIGINT NOT NULL,
    new_bytes BIGINT NOT NULL,
    backup_reference VARCHAR NOT NULL,
    approved_by VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    gate_seconds DOUBLE,
    gap_seconds DOUBLE,
    gap_detail VARCHAR NOT NULL,
    pinned BOOLEAN NOT NULL,
    kept_until TIMESTAMP,
    freed_bytes BIGINT,
    folder VARCHAR NOT NULL,
    remarks VARCHAR[] NOT NULL,
    summary VARCHAR NOT NULL,
    imgopt_version VARCHAR NOT NULL
);
COMMENT ON TABLE deployments IS 'A candidate put in the place of what runs: verified, or the old state put back.';
COMMENT ON COLUMN deployments.deployment_id IS 'The ID of the Dagster run.';
COMMENT ON COLUMN deployments.host IS 'Name of the host.';
COMMENT ON COLUMN deployments.subject IS 'What was named: a service, a container or an image.';
COMMENT ON COLUMN deployments.reference IS 'The name of the image that ran; empty where it has none.';
COMMENT ON COLUMN deployments.units IS 'Compose services and containers that were switched.';
COMMENT ON COLUMN deployments.methods IS 'How, in the same order: tag (the name moved), override (a compose file of ours names the image), recreate (the container was made anew).';
COMMENT ON COLUMN deployments.outcome IS 'verified; rolled back: the old state runs as before; rollback failed; unchanged: stopped before anything was changed; open: cut off, to be resumed.';
COMMENT ON COLUMN deployments.reason IS 'Why it is not verified; empty where it is.';
COMMENT ON COLUMN deployments.build_id IS 'The optimized build that was deployed.';
COMMENT ON COLUMN deployments.old_image_id IS 'The image that ran.';
COMMENT ON COLUMN deployments.new_image_id IS 'The candidate.';
COMMENT ON COLUMN deployments.old_bytes IS 'Size of the image that ran.';
COMMENT ON COLUMN deployments.new_bytes IS 'Size of the candidate.';
COMMENT ON COLUMN deployments.backup_reference IS 'The name that keeps the old image.';
COMMENT ON COLUMN deployments.approved_by IS 'Who said yes to it, and when.';
COMMENT ON COLUMN deployments.started_at IS 'When it began.';
COMMENT ON COLUMN deployments.finished_at IS 'When its outcome was known.';
COMMENT ON COLUMN deployments.gate_seconds IS 'How long the switched service was watched, soak included.';
COMMENT ON COLUMN deployments.gap_seconds IS 'How long the service did not answer; empty where that could not be measured.';
COMMENT ON COLUMN deployments.gap_detail IS 'What was asked for that, or why it could not be measured.';
COMMENT ON COLUMN deployments.pinned IS 'Whether the old state is kept until a person lets it go.';
COMMENT ON COLUMN deployments.kept_until IS 'When the old state may be removed at the earliest.';
COMMENT ON COLUMN deployments.freed_bytes IS 'What its removal freed on the disk of the engine, measured; empty while it is kept.';
COMMENT ON COLUMN deployments.folder IS 'Folder of its journal and the log of compose.';
COMMENT ON COLUMN deployments.remarks IS 'What a person was told beforehand.';
COMMENT ON COLUMN deployments.summary IS 'The same in a sentence.';
COMMENT ON COLUMN deployments.imgopt_version IS 'Version of imgopt that made it.';

CREATE TABLE IF NOT EXISTS deployment_steps (
    deployment_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    step VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
COMMENT ON TABLE deployment_steps IS 'The journal of each deployment: what was done, in order.';
COMMENT ON COLUMN deployment_steps.deployment_id IS 'The deployment.';
COMMENT ON COLUMN deployment_steps.number IS 'Position in the journal.';
COMMENT ON COLUMN deployment_steps.happened_at IS 'When.';
COMMENT ON COLUMN deployment_steps.step IS 'The step; those of the way back begin with "back".';
COMMENT ON COLUMN deployment_steps.event IS 'begun, done, failed, undoing, undone or noted.';
COMMENT ON COLUMN deployment_steps.detail IS 'What it came to; may be empty.';

CREATE TABLE IF NOT EXISTS deployment_checks (
    deployment_id VARCHAR NOT NULL,
    phase VARCHAR NOT NULL CHECK (phase IN ('shadow', 'gate', 'rollback')),
    unit VARCHAR NOT NULL,
    check_name VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('passed', 'failed', 'unverified')),
    old_value VARCHAR NOT NULL,
    new_value VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
COMMENT ON TABLE deployment_checks IS 'What was looked at after a switch and after a rollback, beside what it was before.';
COMMENT ON COLUMN deployment_checks.deployment_id IS 'The deployment.';
COMMENT ON COLUMN deployment_checks.phase IS 'shadow: both images asked the same before the switch; gate: after it; rollback: of the old state put back.';
COMMENT ON COLUMN deployment_checks.unit IS 'The service or container.';
COMMENT ON COLUMN deployment_checks.check_name IS 'The check.';
COMMENT ON COLUMN deployment_checks.outcome IS 'passed, failed, or unverified: the old one did not do it either, or it could not be looked at.';
COMMENT ON COLUMN deployment_checks.old_value IS 'What it was before.';
COMMENT ON COLUMN deployment_checks.new_value IS 'What it is.';
COMMENT ON COLUMN deployment_checks.detail IS 'What is wrong; empty where it passed.';

CREATE TABLE IF NOT EXISTS cleanings (
    cleaning_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('finished', 'cut off', 'under way')),
    removed INTEGER NOT NULL CHECK (removed >= 0),
    moved_aside INTEGER NOT NULL CHECK (moved_aside >= 0),
    left_alone INTEGER NOT NULL CHECK (left_alone >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    freed_bytes BIGINT NOT NULL CHECK (freed_bytes >= 0),
    pending_bytes BIGINT NOT NULL CHECK (pending_bytes >= 0),
    older_than_days DOUBLE NOT NULL,
    folder VARCHAR NOT NULL,
    summary VARCHAR NOT NULL,
    imgopt_version VARCHAR NOT NULL
);
COMMENT ON TABLE cleanings IS 'Each cleaning of a host: what was only left over, and what removing it freed.';
COMMENT ON COLUMN cleanings.cleaning_id IS 'Its ID, by which it is taken back.';
COMMENT ON COLUMN cleanings.host IS 'Name of the host.';
COMMENT ON COLUMN cleanings.started_at IS 'When it began, UTC.';
COMMENT ON COLUMN cleanings.finished_at IS 'When it was through, UTC; null while it is under way.';
COMMENT ON COLUMN cleanings.outcome IS 'finished; cut off: what stood afterwards was looked at; under way.';
COMMENT ON COLUMN cleanings.removed IS 'Things that are gone.';
COMMENT ON COLUMN cleanings.moved_aside IS 'Directories that lie aside now and can come back.';
COMMENT ON COLUMN cleanings.left_alone IS 'Things that were in use by the time they were to go, or were not reached.';
COMMENT ON COLUMN cleanings.failed IS 'Things that could not be removed.';
COMMENT ON COLUMN cleanings.freed_bytes IS 'What became free, measured around each removal; what is pending is not in it.';
COMMENT ON COLUMN cleanings.pending_bytes IS 'What lies aside and is not free yet.';
COMMENT ON COLUMN cleanings.older_than_days IS 'From which age on containers and build cache went.';
COMMENT ON COLUMN cleanings.folder IS 'Where its journal lies.';
COMMENT ON COLUMN cleanings.summary IS 'What came of it, in a sentence.';
COMMENT ON COLUMN cleanings.imgopt_version IS 'The version of imgopt.';

CREATE TABLE IF NOT EXISTS cleaned_items (
    cleaning_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('container', 'image', 'build cache', 'volume', 'directory')),
    subject VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('removed', 'moved aside', 'put back', 'left', 'failed')),
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    size_bytes BIGINT CHECK (size_bytes >= 0),
    freed_bytes BIGINT CHECK (freed_bytes >= 0),
    pending_bytes BIGINT NOT NULL CHECK (pending_bytes >= 0),
    aside VARCHAR,
    PRIMARY KEY (cleaning_id, kind, key)
);
COMMENT ON TABLE cleaned_items IS 'What became of each thing that a cleaning was to remove.';
COMMENT ON COLUMN cleaned_items.cleaning_id IS 'The cleaning.';
COMMENT ON COLUMN cleaned_items.kind IS 'container, image, build cache, volume or directory.';
COMMENT ON COLUMN cleaned_items.subject IS 'What a person calls it.';
COMMENT ON COLUMN cleaned_items.key IS 'Its ID, name or path; empty for the build cache.';
COMMENT ON COLUMN cleaned_items.outcome IS 'removed; moved aside: it can come back; put back; left: it was in use by then; failed.';
COMMENT ON COLUMN cleaned_items.reason IS 'Why it could go.';
COMMENT ON COLUMN cleaned_items.detail IS 'Why it was left, or what failed; empty where it went.';
COMMENT ON COLUMN cleaned_items.size_bytes IS 'What it was said to take; null where nobody said.';
COMMENT ON COLUMN cleaned_items.freed_bytes IS 'What became free while it was removed, measured; null where that could not be.';
COMMENT ON COLUMN cleaned_items.pending_bytes IS 'What of it lies aside and is not free yet.';
COMMENT ON COLUMN cleaned_items.aside IS 'Where it lies meanwhile; null for what is not aside.';

CREATE TABLE IF NOT EXISTS migrations (
    migration_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('bind', 'volume')),
    volume VARCHAR,
    source VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    mount_point VARCHAR NOT NULL,
    filesystem VARCHAR NOT NULL,
    units VARCHAR[] NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('verified', 'rolled back', 'rollback failed', 'cancelled', 'open')),
    reason VARCHAR NOT NULL,
    files BIGINT NOT NULL CHECK (files >= 0),
    file_bytes BIGINT NOT NULL CHECK (file_bytes >= 0),
    left_out BIGINT NOT NULL CHECK (left_out >= 0),
    copy_seconds DOUBLE,
    verify_seconds DOUBLE,
    gate_seconds DOUBLE,
    gap_seconds DOUBLE,
    gap_detail VARCHAR NOT NULL,
    approved_by VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    kept_until TIMESTAMP,
    set_aside VARCHAR,
    pending_bytes BIGINT NOT NULL CHECK (pending_bytes >= 0),
    freed_bytes BIGINT NOT NULL CHECK (freed_bytes >= 0),
    folder VARCHAR NOT NULL,
    remarks VARCHAR[] NOT NULL,
    summary VARCHAR NOT NULL,
    imgopt_version VARCHAR NOT NULL
);
COMMENT ON TABLE migrations IS 'A data directory moved to another file system: verified, or everything put back.';
COMMENT ON COLUMN migrations.migration_id IS 'The ID of the Dagster run that began it.';
COMMENT ON COLUMN migrations.host IS 'Name of the host.';
COMMENT ON COLUMN migrations.subject IS 'What was named.';
COMMENT ON COLUMN migrations.kind IS 'bind: a directory of the host; volume: a named volume.';
COMMENT ON COLUMN migrations.volume IS 'Name of the volume.';
COMMENT ON COLUMN migrations.source IS 'Where the files were.';
COMMENT ON COLUMN migrations.destination IS 'Where they are to be.';
COMMENT ON COLUMN migrations.mount_point IS 'What must be mounted there.';
COMMENT ON COLUMN migrations.filesystem IS 'As which type of file system.';
COMMENT ON COLUMN migrations.units IS 'Compose services and containers that use them.';
COMMENT ON COLUMN migrations.outcome IS 'verified; rolled back: everything is as before; rollback failed; cancelled: given up, the copy removed; open: copying, or cut off.';
COMMENT ON COLUMN migrations.reason IS 'Why it is not verified, or what stopped it last; empty where it is.';
COMMENT ON COLUMN migrations.files IS 'Files, each hard link counted.';
COMMENT ON COLUMN migrations.file_bytes IS 'Their bytes as they are read, holes included.';
COMMENT ON COLUMN migrations.left_out IS 'Sockets, pipes and devices, which stay behind.';
COMMENT ON COLUMN migrations.copy_seconds IS 'What copying took, while everything ran.';
COMMENT ON COLUMN migrations.verify_seconds IS 'What reading the copy back took.';
COMMENT ON COLUMN migrations.gate_seconds IS 'How long the switched services were watched, soak included.';
COMMENT ON COLUMN migrations.gap_seconds IS 'How long a service did not answer; empty where that could not be measured.';
COMMENT ON COLUMN migrations.gap_detail IS 'What was asked for that, or why it could not be measured.';
COMMENT ON COLUMN migrations.approved_by IS 'Who said yes to it, and when.';
COMMENT ON COLUMN migrations.started_at IS 'When it began.';
COMMENT ON COLUMN migrations.finished_at IS 'When its outcome was known.';
COMMENT ON COLUMN migrations.kept_until IS 'When the source may be deleted at the earliest.';
COMMENT ON COLUMN migrations.set_aside IS 'Where the source is kept meanwhile; empty where it is in use, or gone.';
COMMENT ON COLUMN migrations.pending_bytes IS 'Bytes of the source that is kept and not free yet.';
COMMENT ON COLUMN migrations.freed_bytes IS 'What its deletion freed, measured; 0 before.';
COMMENT ON COLUMN migrations.folder IS 'Folder of its journal, its list of files and the log of compose.';
COMMENT ON COLUMN migrations.remarks IS 'What a person was told beforehand: what the destination does not keep.';
COMMENT ON COLUMN migrations.summary IS 'The same in a sentence.';
COMMENT ON COLUMN migrations.imgopt_version IS 'Version of imgopt that made it.';

CREATE TABLE IF NOT EXISTS migration_steps (
    migration_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    step VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
COMMENT ON TABLE migration_steps IS 'The journal of each migration: what was done, in order.';
COMMENT ON COLUMN migration_steps.migration_id IS 'The migration.';
COMMENT ON COLUMN migration_steps.number IS 'Position in the journal.';
COMMENT ON COLUMN migration_steps.happened_at IS 'When.';
COMMENT ON COLUMN migration_steps.step IS 'The step; those of the way back begin with "back".';
COMMENT ON COLUMN migration_steps.event IS 'begun, done, failed or noted.';
COMMENT ON COLUMN migration_steps.detail IS 'What it came to; may be empty.';

CREATE TABLE IF NOT EXISTS migration_checks (
    migration_id VARCHAR NOT NULL,
    phase VARCHAR NOT NULL CHECK (phase IN ('gate', 'rollback')),
    unit VARCHAR NOT NULL,
    check_name VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('passed', 'failed', 'unverified')),
    old_value VARCHAR NOT NULL,
    new_value VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
);
COMMENT ON TABLE migration_checks IS 'What was looked at after services were pointed to the new place, and after a rollback.';
COMMENT ON COLUMN migration_checks.migration_id IS 'The migration.';
COMMENT ON COLUMN migration_checks.phase IS 'gate: with the new place; rollback: of the old state put back.';
COMMENT ON COLUMN migration_checks.unit IS 'The service or container.';
COMMENT ON COLUMN migration_checks.check_name IS 'The check; moved folder, file count and sample hashes are seen from inside a container.';
COMMENT ON COLUMN migration_checks.outcome IS 'passed, failed, or unverified: it did not do so before either, or it could not be looked at.';
COMMENT ON COLUMN migration_checks.old_value IS 'What it was before.';
COMMENT ON COLUMN migration_checks.new_value IS 'What it is.';
COMMENT ON COLUMN migration_checks.detail IS 'What is wrong; empty where it passed.';

CREATE TABLE IF NOT EXISTS file_archives (
    archive_id VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    folder VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    archive VARCHAR NOT NULL,
    unused_days DOUBLE NOT NULL,
    made_at TIMESTAMP NOT NULL,
    files BIGINT NOT NULL CHECK (files >= 0),
    file_bytes BIGINT NOT NULL CHECK (file_bytes >= 0),
    archive_bytes BIGINT NOT NULL CHECK (archive_bytes >= 0),
    deleted BIGINT NOT NULL CHECK (deleted >= 0),
    finished BOOLEAN NOT NULL,
    summary VARCHAR NOT NULL
);
COMMENT ON TABLE file_archives IS 'Files that nobody used for long, packed, read back, and deleted where they were.';
COMMENT ON COLUMN file_archives.archive_id IS 'Its ID, which is in the name of the archive.';
COMMENT ON COLUMN file_archives.host IS 'Name of the host.';
COMMENT ON COLUMN file_archives.folder IS 'Where the files were.';
COMMENT ON COLUMN file_archives.destination IS 'The folder of the archive.';
COMMENT ON COLUMN file_archives.archive IS 'The archive; empty until it is finished.';
COMMENT ON COLUMN file_archives.unused_days IS 'For how many days they were neither read nor written.';
COMMENT ON COLUMN file_archives.made_at IS 'When it was begun.';
COMMENT ON COLUMN file_archives.files IS 'Files in it.';
COMMENT ON COLUMN file_archives.file_bytes IS 'Their bytes.';
COMMENT ON COLUMN file_archives.archive_bytes IS 'What the archive takes.';
COMMENT ON COLUMN file_archives.deleted IS 'Originals that were deleted after it was read back.';
COMMENT ON COLUMN file_archives.finished IS 'Whether it came to its end; otherwise the same command goes on.';
COMMENT ON COLUMN file_archives.summary IS 'The same in a sentence.';
