-- $field is agent or task.
WITH seen AS (
  SELECT $field AS who, metric, COUNT(DISTINCT campaign) AS campaigns, COUNT(*) AS attempts,
    SUM(status = 'keep') AS kept, SUM(status = 'crash') AS crashed, SUM(seconds) AS seconds,
    MIN(CASE WHEN status = 'keep' THEN value END) AS best
  FROM experiment t
  WHERE outcome <> 'interrupted'
    --campaign: AND t.campaign = :campaign
  GROUP BY $field, metric
)
SELECT seen.*,
  (SELECT name FROM experiment t
    WHERE status = 'keep' AND value = best AND $field = who AND t.metric = seen.metric
      --campaign: AND t.campaign = :campaign
    ORDER BY name LIMIT 1)
FROM seen
ORDER BY who, metric
LIMIT 100
