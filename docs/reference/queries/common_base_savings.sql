-- Which images should share a base?
SELECT host, images, packages, saved_bytes
FROM common_base_savings
ORDER BY saved_bytes DESC;
