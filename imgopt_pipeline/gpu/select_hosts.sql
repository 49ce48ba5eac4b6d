-- What the host of an audit has for GPUs; no row where it was not looked at.
SELECT known, devices, driver_version, runtimes, default_runtime, evidence
FROM host_gpus
WHERE audit_id = $audit_id
