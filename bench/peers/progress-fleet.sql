WITH state AS (
  SELECT campaign, SUM(outcome <> 'interrupted') AS attempts, SUM(status = 'keep') AS kept,
    SUM(seconds) AS spent, MIN(seq) AS first
  FROM experiment GROUP BY campaign
),
leader AS (
  SELECT campaign, id, MIN(value) FROM experiment WHERE status = 'keep' GROUP BY campaign
)
SELECT e.name, e.campaign, e.seq, e.metric, e.value, e.value - b.value,
  ABS(e.value - b.value) <= noise, attempts, kept, spent, e.description
FROM state s
JOIN leader l ON l.campaign = s.campaign
JOIN experiment e ON e.id = l.id
JOIN experiment b ON b.campaign = s.campaign AND b.seq = first
JOIN campaign c ON c.name = s.campaign
ORDER BY e.campaign
LIMIT 200
