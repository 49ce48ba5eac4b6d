-- The items of a host's newest plan that a subject may mean.
WITH newest AS (
    SELECT audit_id
    FROM audits
    WHERE host = $host AND status <> 'unreachable'
    ORDER BY started_at DESC
    LIMIT 1
),

services AS (
    SELECT DISTINCT image_id
    FROM container_inventory JOIN newest USING (audit_id)
    WHERE $subject IN (name, compose_service, compose_project || '/' || compose_service)
        -- What imgopt set aside as a way back runs nothing.
        AND NOT contains(name, '.imgopt-')
)

SELECT plan.*
FROM optimization_plan AS plan JOIN newest USING (audit_id)
WHERE plan.subject_kind <> 'host'
    AND (
        $subject IN (plan.subject, plan.image_id, plan.path, regexp_replace(plan.subject, ':latest$', ''))
        OR (plan.subject_kind = 'image' AND plan.image_id IN (SELECT image_id FROM services))
        OR (plan.subject_kind = 'directory' AND regexp_extract(plan.path, '[^/]+$') = $subject)
    )
