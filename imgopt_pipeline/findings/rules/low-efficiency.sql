-- title: Too much of the image is hidden
-- severity: medium
-- risk: low
-- why: Every byte that a later layer hides is stored, pulled and pushed, and nobody can ever read it.
SELECT
    'image' AS subject_kind, i.name AS subject, i.image_id, NULL AS path,
    i.dead_bytes AS size_bytes, w.freed_bytes AS low_bytes, w.freed_bytes AS likely_bytes, w.freed_bytes AS high_bytes,
    severity_of(w.freed_bytes) AS severity,
    human(i.live_bytes) || ' of ' || human(i.size_bytes) || ' are visible (' || format('{:.1f}',
        floor(i.efficiency * 1000) / 10) || ' %), the limit is '
        || format('{:.1f}', $lowest_efficiency * 100.0) || ' %; ' || human(i.dead_bytes) || ' are hidden, '
            || human(w.freed_bytes)
        || ' of them in layers that no other image holds.' AS evidence,
    'Merge the steps that write the same files; the rules for R12 and R17 say which. `imgopt image ' || i.name
        || '` shows the layers.' AS advice
FROM host_images AS i
JOIN (
    SELECT b.image_id, coalesce(sum(b.dead_bytes) FILTER (coalesce(l.holding_contents, 1) = 1), 0)::BIGINT
        AS freed_bytes
    FROM image_layer_bytes AS b
    LEFT JOIN host_layers AS l USING (image_id, position)
    GROUP BY b.image_id
) AS w USING (image_id)
WHERE i.efficiency < $lowest_efficiency AND i.dead_bytes >= $least_bytes
