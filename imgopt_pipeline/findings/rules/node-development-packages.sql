-- title: Node packages that only development needs
-- technique: R7
-- severity: medium
-- risk: medium
-- why: Compilers, linters and test tools among the devDependencies are needed to build a Node application, not to run
--   it.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Packages that the lock file reaches through devDependencies only. ' || evidence AS evidence,
    'Build in one stage; in the final one install with `npm ci --omit=dev` (pnpm: `pnpm install --prod`; yarn 1: '
        || '`yarn install --production`; '
        || 'yarn 2 and later: `yarn workspaces focus --production`) and copy the build output into it. Never prune '
            || 'before the build.' AS advice
FROM technique_bytes
WHERE technique = 'R7' AND high_bytes >= $least_bytes
