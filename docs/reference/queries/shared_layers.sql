-- Which layers does sharing pay for most?
SELECT host, holders, file_bytes, saved_bytes, created_by, images
FROM shared_layers
ORDER BY saved_bytes DESC NULLS LAST
LIMIT 10;
