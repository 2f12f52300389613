SELECT name, MIN(value)
FROM experiment t
WHERE status = 'keep'
  --campaign: AND t.campaign = :campaign
GROUP BY campaign
ORDER BY 2, 1
LIMIT 5
