-- Dead bytes with each stored layer counted once: images that share a layer share what is dead in it.
SELECT host, coalesce(sum(dead_bytes), 0)::BIGINT AS dead_bytes
FROM (
    SELECT host, chain_id, max(dead_bytes) AS dead_bytes
    FROM latest_layers
    WHERE host = coalesce($host, host)
    GROUP BY host, chain_id
)
GROUP BY host
