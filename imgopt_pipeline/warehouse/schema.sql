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
COMMENT ON COLUMN audit_problems.kind IS 'Sort of problem, such as "host unreachable" or "unreadable archive".';
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
