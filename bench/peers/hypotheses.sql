SELECT t.name, seq, hypothesis, expected, delta, ABS(delta) <= noise,
  CASE
    WHEN delta IS NULL OR outcome IN ('crashed', 'interrupted') THEN 'untested'
    WHEN expected <> 0 THEN CASE WHEN expected * delta > 0 THEN 'supported' ELSE 'refuted' END
    WHEN outcome = 'equal' THEN 'open'
    WHEN outcome = 'improved' THEN 'supported'
    ELSE 'refuted'
  END,
  outcome
FROM experiment t JOIN campaign c ON c.name = t.campaign
WHERE (hypothesis IS NOT NULL OR expected IS NOT NULL)
  --campaign: AND t.campaign = :campaign
ORDER BY t.campaign, seq DESC
LIMIT 100
