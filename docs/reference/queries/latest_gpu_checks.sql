-- What is said of GPUs, and on what evidence?
SELECT host, subject, verdict, confidence, explanation, unnest(evidence).statement AS evidence
FROM latest_gpu_checks
ORDER BY gpu_bytes DESC, subject;
