SELECT DISTINCT l.diff_id
FROM latest_layers AS l
JOIN layers AS y USING (diff_id)
WHERE l.host = coalesce($host, l.host) AND y.analyser_version <> $analyser_version
