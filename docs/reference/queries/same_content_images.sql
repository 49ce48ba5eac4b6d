-- Which images are the same under several names?
SELECT host, names, size_bytes
FROM same_content_images
ORDER BY size_bytes DESC NULLS LAST;
