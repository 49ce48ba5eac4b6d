SELECT host, image, ecosystem, name, version, local_version, location, position, size_bytes, files, installed_bytes,
    requested, development, only_recommended, section, gpu_role, requires
FROM latest_packages
WHERE host = coalesce($host, host) AND image_id = coalesce($image_id, image_id)
ORDER BY $image_id IS NULL AND ecosystem = 'none', size_bytes DESC, ecosystem, name, image
