-- How did each host's images grow from month to month?
SELECT host, date_trunc('month', finished_at) AS month, arg_max(image_bytes, finished_at) AS image_bytes,
    sum(change_bytes) AS change_bytes
FROM size_trend
GROUP BY ALL
ORDER BY host, month;
