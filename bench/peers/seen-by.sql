-- $field is agent or task. A bare column beside MIN() is that of the row with the minimum.
SELECT $field, metric, COUNT(DISTINCT campaign), COUNT(*), SUM(status = 'keep'),
  SUM(status = 'crash'), SUM(seconds), MIN(CASE WHEN status = 'keep' THEN value END), name
FROM experiment t
WHERE outcome <> 'interrupted'
  --campaign: AND t.campaign = :campaign
GROUP BY $field, metric
ORDER BY 1, 2
LIMIT 100
